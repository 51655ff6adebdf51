"""The datasets of two sequence files, held against each other."""

import h5py


def datasets_of(path):
    found = {}
    with h5py.File(path) as file:
        file.visititems(
            lambda name, item: found.update({name: item[()]}) if hasattr(item, "dtype") else None
        )
    return found


def assert_same_datasets(path, other):
    found, expected = datasets_of(path), datasets_of(other)
    assert found.keys() == expected.keys()
    for name, values in expected.items():
        assert found[name].tobytes() == values.tobytes(), name
