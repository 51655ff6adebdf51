"""Data sets: what is in them, against references in float64, and what is refused."""

import gzip
import re
import socket
import struct
import sys

import h5py
import numpy as np
import pytest
import torch
from PIL import Image

from movinglands import memory
from movinglands.data import load as data
from movinglands.data.load import load
from movinglands.data.registry import DATA_SETS
from movinglands.errors import UserError
from movinglands.pieces.compute import compute
from movinglands.pieces.recipe import read_recipe
from movinglands.sequence import open_sequence


def data_of(name="digits", **keys):
    return DATA_SETS[name](**keys)


def random_image(seed, *shape):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def save(path, pixels, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **options)


def refused(**keys):
    """The sentence with which a data set is refused."""
    with pytest.raises(UserError) as caught:
        load(data_of(**keys))
    message = str(caught.value)
    assert message.endswith(".")
    assert "\n" not in message
    return message


def weights(length, size):
    """Rows of an antialiased bilinear filter: a triangle over each new pixel, of sum 1."""
    scale = length / size
    middles = (np.arange(size) + 0.5) * scale
    distances = np.abs(np.arange(length) + 0.5 - middles[:, None]) / max(scale, 1)
    triangles = np.clip(1 - distances, 0, None)
    return triangles / triangles.sum(1, keepdims=True)


def resized(pixels, size):
    """The middle square of ``(height, width, ...)`` as ``(size, size, ...)``, in float64."""
    height, width = pixels.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    square = pixels[top : top + side, left : left + side].astype(np.float64)
    rows = weights(side, size)
    return np.einsum("ih,hw...,jw->ij...", rows, square, rows)


def write_idx(path, values):
    content = struct.pack(f">BBBB{values.ndim}I", 0, 0, 8, values.ndim, *values.shape)
    content += values.astype(np.uint8).tobytes()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)


def write_mnist(folder, part, images, labels, suffix=""):
    folder.mkdir(exist_ok=True)
    write_idx(folder / f"{part}-images-idx3-ubyte{suffix}", images)
    write_idx(folder / f"{part}-labels-idx1-ubyte{suffix}", labels)


# The two that come with the installation.


@pytest.mark.parametrize(("size", "seed"), [(8, 0), (6, 3), (20, 7)])
def test_digits_are_bit_for_bit_those_of_the_first_sequences(size, seed):
    from sklearn.datasets import load_digits

    source = load_digits()
    images = torch.from_numpy(source.images).float()[:, None]
    if size != 8:
        images = torch.nn.functional.interpolate(images, (size, size), mode="bilinear")
    order = torch.randperm(1797, generator=torch.Generator().manual_seed(seed))
    images, labels = images[order], torch.from_numpy(source.target)[order]
    images = (images - images[359:].mean()) / images[359:].std()
    found = load(data_of(size=size, seed=seed))
    assert torch.equal(found.images, images[359:])
    assert torch.equal(found.test_images, images[:359])
    assert torch.equal(found.labels, labels[359:])
    assert torch.equal(found.test_labels, labels[:359])
    assert found.classes == 10


def test_faces_need_no_network(monkeypatch):
    def connect(*arguments):
        raise AssertionError("something is downloaded")

    monkeypatch.setattr(socket.socket, "connect", connect)
    faces = load(data_of(name="faces", size=25))
    assert faces.images.shape == (160, 1, 25, 25)
    assert faces.test_images.shape == (40, 1, 25, 25)
    assert faces.classes == 2
    assert torch.cat([faces.labels, faces.test_labels]).bincount().tolist() == [100, 100]
    # A face has features; what is cut out beside it is mostly plain.
    features = faces.images.diff(dim=3).abs().mean((1, 2, 3))
    assert features[faces.labels == 1].mean() > 3 * features[faces.labels == 0].mean()


def test_a_file_made_before_there_were_other_data_sets_is_complete(tiny, sequence, tmp_path):
    path = tmp_path / "own.h5"
    path.write_bytes(sequence.read_bytes())
    with h5py.File(path, "r+") as file:
        new = file.attrs["recipe"]
        old = re.sub(r"(?m)^(source|label|limit) = .*\n", "", new)
        assert old.count("\n") == new.count("\n") - 3
        file.attrs["recipe"] = old
    assert not compute(tiny, path, "cpu")
    other = read_recipe(tiny.to_toml(), "", None, {"data.limit": 500})
    with pytest.raises(UserError, match=r"data\.limit = 0, now asked 500"):
        compute(other, path, "cpu")


# What holds for all of them.


@pytest.mark.parametrize("size", [4, 9, 20, 33])
def test_images_are_cropped_resized_and_standardised(tmp_path, size):
    pixels = random_image(0, 12, 20, 31, 3)
    for index, image in enumerate(pixels):
        save(tmp_path / f"{'train' if index < 8 else 'test'}/{index:02d}/a.png", image)
    for index in range(8, 12):
        save(tmp_path / f"train/{index:02d}/b.png", pixels[0])
    found = load(data_of(name="folder", source=str(tmp_path), size=size))
    expected = np.stack([resized(image, size) for image in pixels]).transpose(0, 3, 1, 2)
    train = expected[[*range(8), 0, 0, 0, 0]]
    mean = train.mean((0, 2, 3), keepdims=True)
    deviation = train.std((0, 2, 3), keepdims=True, ddof=1)
    expected = (expected - mean) / deviation
    assert (found.images.dtype, found.labels.dtype) == (torch.float32, torch.int64)
    for image, label in zip(found.images, found.labels.tolist(), strict=True):
        np.testing.assert_allclose(image, expected[label if label < 8 else 0], atol=1e-4)
    assert sorted(found.test_labels.tolist()) == [8, 9, 10, 11]
    for image, label in zip(found.test_images, found.test_labels.tolist(), strict=True):
        np.testing.assert_allclose(image, expected[label], atol=1e-4)
    np.testing.assert_allclose(found.images.mean((0, 2, 3)), 0, atol=1e-5)


@pytest.fixture
def numbered(tmp_path):
    """A hundred images of a hundred classes: a label tells which image it is."""
    write_mnist(tmp_path / "numbered", "train", random_image(0, 100, 5, 5), np.arange(100))
    return {"name": "idx", "source": str(tmp_path / "numbered"), "size": 5}


def test_what_is_held_out_hangs_on_the_seed_alone(numbered):
    state = torch.random.get_rng_state()
    one, same, other = (load(data_of(**numbered, seed=seed)) for seed in (1, 1, 2))
    assert torch.equal(torch.random.get_rng_state(), state)
    assert (len(one.labels), len(one.test_labels), one.classes) == (80, 20, 100)
    assert set(one.labels.tolist()) | set(one.test_labels.tolist()) == set(range(100))
    assert torch.equal(one.labels, same.labels)
    assert torch.equal(one.images, same.images)
    assert set(one.test_labels.tolist()) != set(other.test_labels.tolist())


def test_a_limit_takes_some_of_both(numbered):
    whole = load(data_of(**numbered, seed=1))
    for limit, train, test in ((1, 1, 1), (15, 15, 15), (30, 30, 20), (1000, 80, 20)):
        some = load(data_of(**numbered, seed=1, limit=limit))
        assert torch.equal(some.labels, whole.labels[:train])
        assert torch.equal(some.test_labels, whole.test_labels[:test])
        assert some.classes == 100


def test_what_is_not_taken_is_not_read(tmp_path):
    for index in range(10):
        save(tmp_path / f"{index}.png", random_image(index, 4, 4))
    (tmp_path / "9.png").write_bytes(b"broken")
    keys = {"name": "folder", "source": str(tmp_path), "size": 4}
    assert "9.png" in refused(**keys)
    loaded = 0
    for seed in range(10):
        try:
            loaded += len(load(data_of(**keys, seed=seed, limit=1)).images)
        except UserError:
            continue
    assert 0 < loaded < 10


def test_a_set_too_large_for_the_memory_is_told_before_it_is_read(numbered, monkeypatch):
    monkeypatch.setattr(memory.os, "sysconf", lambda name: 40)
    monkeypatch.setattr(data, "_fitted", None)
    assert refused(**numbered) == (
        "data.limit = 0: 100 images of 5 x 5 in 1 channels take 0.0 GB of memory, there are "
        "0.0 GB: take fewer or smaller ones."
    )


def test_images_of_a_single_colour_are_no_division_by_zero(tmp_path):
    for index in range(5):
        save(tmp_path / f"{index}.png", np.full((4, 4), 7, np.uint8))
    assert not load(data_of(name="folder", source=str(tmp_path), size=4)).images.any()


def test_a_single_image_is_not_enough(tmp_path):
    save(tmp_path / "a.png", random_image(0, 4, 4))
    sentence = refused(name="folder", source=str(tmp_path), size=4)
    assert sentence.endswith("expected an image to train on and one to test on.")


# Folders.


@pytest.mark.parametrize("held_out", ["test", "val"])
def test_a_folder_that_is_split(tmp_path, held_out):
    for name in ("train/cat/a.png", "train/cat/deep/er/b.JPG", "train/dog/a.webp"):
        save(tmp_path / name, random_image(0, 6, 6))
    save(tmp_path / held_out / "dog" / "a.bmp", random_image(0, 6, 6))
    for name in ("train/.hidden/a.png", "train/cat/._a.png", "train/notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"no image")
    found = load(data_of(name="folder", source=str(tmp_path), size=6))
    assert found.classes == 2
    assert sorted(found.labels.tolist()) == [0, 0, 1]
    assert found.test_labels.tolist() == [1]


def test_images_alone_are_one_class_in_the_order_of_their_names(tmp_path):
    for index in (7, 2, 9, 0, 4, 1, 3, 8, 6, 5):
        save(tmp_path / f"{index}.png", np.full((4, 6), index, np.uint8))
    found = load(data_of(name="folder", source=str(tmp_path), size=4, seed=3))
    assert found.classes == 1
    assert (found.images.shape, found.test_images.shape) == ((8, 1, 4, 4), (2, 1, 4, 4))
    assert not found.labels.any()
    drawn = torch.randperm(10, generator=torch.Generator().manual_seed(3))
    brightness = torch.cat([found.test_images, found.images])[:, 0, 0, 0]
    assert torch.equal(brightness.argsort(), drawn.argsort())


@pytest.mark.parametrize("seed", range(3))
def test_the_same_picture_in_every_mode(tmp_path, seed):
    """Black and white, which all of them have; whichever comes first, grey or coloured."""
    pixels = np.where(random_image(0, 8, 8) > 127, 255, 0).astype(np.uint8)
    picture = Image.fromarray(pixels)
    for mode in ("1", "L", "LA", "P", "RGB", "RGBA"):
        picture.convert(mode).save(tmp_path / f"{mode}.png")
    picture.convert("RGB").convert("CMYK").save(tmp_path / "CMYK.tif")
    save(tmp_path / "16 bits.png", pixels.astype(np.uint16) * 257)
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise to stand upright
    save(tmp_path / "turned.png", np.rot90(pixels).copy(), exif=exif)
    found = load(data_of(name="folder", source=str(tmp_path), size=8, seed=seed))
    images = torch.cat([found.images, found.test_images])
    assert images.shape == (9, 3, 8, 8)
    white = images > 0
    assert torch.equal(white[0, 0], torch.from_numpy(pixels > 0))
    assert torch.equal(images, images[:1, :1].expand_as(images))


def test_grey_images_alone_have_one_channel(tmp_path):
    pixels = random_image(0, 8, 8)
    for mode in ("1", "L", "LA"):
        Image.fromarray(pixels).convert(mode).save(tmp_path / f"{mode}.png")
    save(tmp_path / "16 bits.png", pixels.astype(np.uint16) * 257)
    assert load(data_of(name="folder", source=str(tmp_path))).images.shape == (3, 1, 8, 8)


def folder_of_nothing(path):
    path.mkdir()


def folder_that_is_missing(path):
    pass


def folder_that_is_a_file(path):
    path.write_text("")


def folder_with_an_empty_class(path):
    save(path / "cat" / "a.png", random_image(0, 4, 4))
    (path / "dog").mkdir()


def folder_with_images_beside_classes(path):
    save(path / "cat" / "a.png", random_image(0, 4, 4))
    save(path / "a.png", random_image(0, 4, 4))


def folder_with_a_class_to_test_only(path):
    save(path / "train" / "cat" / "a.png", random_image(0, 4, 4))
    save(path / "test" / "dog" / "a.png", random_image(0, 4, 4))


def folder_with_nothing_to_test(path):
    save(path / "train" / "cat" / "a.png", random_image(0, 4, 4))
    (path / "test" / "cat").mkdir(parents=True)


def folder_with_half_an_image(path):
    for name in "ab":
        save(path / f"{name}.png", random_image(0, 64, 64))
        whole = (path / f"{name}.png").read_bytes()
        (path / f"{name}.png").write_bytes(whole[: len(whole) // 2])


def folder_with_another_format(path):
    """PostScript, for which Pillow would run a program, under a harmless name."""
    path.mkdir()
    for name in "ab":
        Image.new("L", (4, 4)).save(path / f"{name}.png", "EPS")


def folder_with_real_numbers(path):
    for name in "ab":
        save(path / f"{name}.tif", np.ones((4, 4), np.float32))


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (folder_of_nothing, "there are no images in it"),
        (folder_that_is_missing, "no such folder"),
        (folder_that_is_a_file, "no such folder"),
        (folder_with_an_empty_class, "dog: there are no images in it"),
        (folder_with_images_beside_classes, "has images beside sub-folders"),
        (folder_with_a_class_to_test_only, "dog: expected the classes of"),
        (folder_with_nothing_to_test, "expected an image to train on and one to test on"),
        (folder_with_half_an_image, ".png: no image that can be read"),
        (folder_with_another_format, ".png: no image that can be read"),
        (folder_with_real_numbers, ".tif: no image that can be read: expected 8 or 16 bits"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_a_bad_folder_is_a_sentence(tmp_path, make, reason):
    folder = tmp_path / "pictures"
    make(folder)
    sentence = refused(name="folder", source=str(folder))
    assert str(folder) in sentence
    assert reason in sentence


# IDX files.


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_idx_files(tmp_path, suffix):
    train, test = random_image(0, 6, 9, 9), random_image(1, 3, 9, 9)
    write_mnist(tmp_path, "train", train, np.arange(6), suffix)
    write_mnist(tmp_path, "t10k", test, np.array([8, 0, 1]), suffix)
    found = load(data_of(name="idx", source=str(tmp_path), size=9))
    assert found.classes == 9
    assert found.images.shape == (6, 1, 9, 9)
    standardised = (test - train.mean()) / train.std(ddof=1)
    for image, label in zip(found.test_images, found.test_labels.tolist(), strict=True):
        np.testing.assert_allclose(image[0], standardised[[8, 0, 1].index(label)], atol=1e-4)


@pytest.mark.parametrize(
    ("name", "spoil", "reason"),
    [
        ("images-idx3-ubyte", None, "expected train-images-idx3-ubyte in it"),
        ("labels-idx1-ubyte", None, "cannot be read: No such file"),
        ("images-idx3-ubyte", lambda b: b[:-1], "expected 6 x 9 x 9 bytes, got 485"),
        ("images-idx3-ubyte", lambda b: b + b"x", "expected 6 x 9 x 9 bytes, got 487"),
        ("images-idx3-ubyte", lambda b: b[:10], "expected an IDX file of bytes in 3 dimensions"),
        ("images-idx3-ubyte", lambda b: b"", "expected an IDX file of bytes in 3 dimensions"),
        ("images-idx3-ubyte", lambda b: b[:2] + b"\r" + b[3:], "expected an IDX file of bytes"),
        ("labels-idx1-ubyte", lambda b: b[:3] + b"\3" + b[4:], "expected an IDX file of bytes"),
        ("images-idx3-ubyte", lambda b: b[:4] + b"\xff" * 12 + b[16:], "expected 4294967295 x"),
        ("images-idx3-ubyte", lambda b: b[:4] + bytes(12), "expected 0 x 0 x 0 bytes, got 0"),
        ("labels-idx1-ubyte", lambda b: b[:7] + b"\5" + b[8:-1], "has 5 labels for 6 images"),
    ],
)
@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_a_bad_idx_file_is_a_sentence(tmp_path, name, spoil, reason, suffix):
    write_mnist(tmp_path, "train", random_image(0, 6, 9, 9), np.arange(6), suffix)
    path = tmp_path / f"train-{name}{suffix}"
    content = path.read_bytes()
    path.unlink()
    if spoil and suffix:
        path.write_bytes(gzip.compress(spoil(gzip.decompress(content))))
    elif spoil:
        path.write_bytes(spoil(content))
    sentence = refused(name="idx", source=str(tmp_path))
    assert str(tmp_path) in sentence
    assert reason in sentence


@pytest.mark.parametrize(
    "spoil", [lambda b: b[:-9], lambda b: b"x" * 99, lambda b: b[:40] + b[60:]]
)
def test_bad_compression_is_a_sentence(tmp_path, spoil):
    write_mnist(tmp_path, "train", random_image(0, 6, 9, 9), np.arange(6), ".gz")
    path = tmp_path / "train-images-idx3-ubyte.gz"
    path.write_bytes(spoil(path.read_bytes()))
    assert f"{path}: cannot be read: " in refused(name="idx", source=str(tmp_path))


# The hub's, read by its library from local folders of the same make.


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """Write splits, ``train={column: values}``, as a hub data set; give its keys in a recipe."""
    datasets = pytest.importorskip("datasets")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    named = {
        "image": datasets.Image(),
        "digit": datasets.ClassLabel(num_classes=10),
        "coarse": datasets.ClassLabel(num_classes=2),
    }

    def write(**splits):
        for split, columns in splits.items():
            columns = {
                name: [v if v is None else Image.fromarray(v) for v in values]
                if name == "image"
                else values
                for name, values in columns.items()
            }
            plain = datasets.Dataset.from_dict(columns).features
            features = {name: named.get(name, plain[name]) for name in columns}
            table = datasets.Dataset.from_dict(columns, datasets.Features(features))
            (tmp_path / "set").mkdir(exist_ok=True)
            table.to_parquet(tmp_path / "set" / f"{split}-00000-of-00001.parquet")
        return {"name": "hub", "source": str(tmp_path / "set"), "size": 6}

    return write


def test_a_hub_set_with_classes(hub):
    train, test = random_image(0, 10, 6, 6, 3), random_image(1, 2, 6, 6, 3)
    keys = hub(train={"image": train, "digit": range(10)}, test={"image": test, "digit": [7, 3]})
    found = load(data_of(**keys))
    assert found.classes == 10
    assert found.images.shape == (10, 3, 6, 6)
    mean, deviation = train.mean((0, 1, 2)), train.std((0, 1, 2), ddof=1)
    for image, label in zip(found.test_images, found.test_labels.tolist(), strict=True):
        expected = (test[[7, 3].index(label)] - mean) / deviation
        np.testing.assert_allclose(image, expected.transpose(2, 0, 1), atol=1e-4)


def test_a_hub_set_without_test_images_is_split(hub):
    found = load(data_of(**hub(train={"image": random_image(0, 10, 6, 6), "digit": range(10)})))
    assert (len(found.labels), len(found.test_labels)) == (8, 2)
    assert {*found.labels.tolist(), *found.test_labels.tolist()} == set(range(10))


def test_the_only_split_of_a_hub_set_is_what_there_is_to_train_on(hub):
    found = load(data_of(**hub(test={"image": random_image(0, 10, 6, 6), "digit": range(10)})))
    assert (len(found.labels), len(found.test_labels)) == (8, 2)
    assert not {*found.labels.tolist()} & {*found.test_labels.tolist()}


def test_test_images_without_labels_are_passed_over(hub):
    some = random_image(0, 3, 6, 6)
    keys = hub(
        train={"image": some, "digit": [0, 1, 2]},
        test={"image": some, "digit": [-1, -1, -1]},
        validation={"image": some[:2], "digit": [4, 4]},
    )
    assert load(data_of(**keys)).test_labels.tolist() == [4, 4]


@pytest.mark.parametrize(
    ("values", "numbers"),
    [
        (["cat", "ant", "cat", "bee", "bee", "ant"], [2, 0, 2, 1, 1, 0]),
        ([True, False, True, True, False, False], [1, 0, 1, 1, 0, 0]),
        ([-1, 1, 1, -1, 1, 5], [0, 1, 1, 0, 1, 2]),
    ],
)
def test_plain_labels_are_numbered_in_their_order(hub, values, numbers):
    images = np.stack([np.full((6, 6), 40 * index, np.uint8) for index in range(6)])
    images[:, 0] += np.arange(6, dtype=np.uint8)
    columns = {"image": images, "smiling": values}
    keys = hub(train=columns, test={name: part[:3] for name, part in columns.items()})
    found = load(data_of(**keys, label="smiling"))
    assert found.classes == len(set(values))
    darkest_first = found.images.mean((1, 2, 3)).argsort()
    assert found.labels[darkest_first].tolist() == numbers
    darkest_first = found.test_images.mean((1, 2, 3)).argsort()
    assert found.test_labels[darkest_first].tolist() == numbers[:3]
    assert load(data_of(**keys)).classes == 1  # a set of images for all we know


def test_a_column_called_label_needs_no_mention(hub):
    keys = hub(train={"image": random_image(0, 4, 6, 6), "label": [3, 5, 5, 3]})
    assert load(data_of(**keys)).classes == 2


def test_of_two_columns_of_classes_one_is_chosen(hub):
    columns = {"image": random_image(0, 4, 6, 6), "digit": [9, 8, 7, 6], "coarse": [0, 1, 1, 0]}
    keys = hub(train=columns)
    assert refused(**keys) == "data.label: expected one of digit, coarse, none is given."
    assert load(data_of(**keys, label="coarse")).classes == 2
    assert load(data_of(**keys, label="digit")).classes == 10


def test_a_configuration_of_a_hub_set_is_asked_for(monkeypatch):
    """Which only those on the hub itself have: here it is told what the library is asked."""
    datasets = pytest.importorskip("datasets")
    asked = []

    def load_dataset(*arguments):
        asked.append(arguments)
        raise RuntimeError("Nothing\nthere.")

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    for source in ("frgfm/imagenette:320px", "uoft-cs/cifar10"):
        expected = f"data.source = {source!r}: Nothing there."
        assert refused(name="hub", source=source) == expected
    assert asked == [("frgfm/imagenette", "320px"), ("uoft-cs/cifar10", None)]


@pytest.mark.parametrize(
    ("columns", "keys", "reason"),
    [
        ({"digit": [1, 2]}, {}, "expected one column of images, got 0 among digit"),
        ({"image": [None, None], "digit": [1, 2]}, {}, "there is none"),
        ({"image": random_image(0, 2, 6, 6), "digit": [1, -1]}, {}, "have no label in digit"),
        ({"image": random_image(0, 2, 6, 6), "a": [1, None]}, {"label": "a"}, "no label in a"),
        (
            {"image": random_image(0, 2, 6, 6), "digit": [1, 2], "price": [0.5, 1.5]},
            {"label": "price"},
            "data.label = 'price': expected one of digit.",
        ),
        (
            {"image": random_image(0, 2, 6, 6)},
            {"label": "digit"},
            "data.label = 'digit': expected one of none, there are no labels.",
        ),
    ],
)
def test_a_bad_hub_set_is_a_sentence(hub, columns, keys, reason):
    assert reason in refused(**hub(train=columns), **keys)


def test_hub_splits_with_other_names_are_told(hub):
    columns = {"image": random_image(0, 2, 6, 6)}
    sentence = refused(**hub(test=columns, validation=columns))
    assert "expected a split train, got " in sentence
    assert "validation" in sentence


def test_a_hub_set_that_is_not_there(hub, tmp_path):
    source = str(tmp_path / "nothing")
    assert refused(name="hub", source=source).startswith(f"data.source = {source!r}: ")
    (tmp_path / "nothing").mkdir()
    (tmp_path / "nothing" / "train.parquet").write_bytes(b"nothing")
    assert refused(name="hub", source=source).startswith(f"data.source = {source!r}: ")


def test_without_the_hubs_library_it_is_told_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    sentence = refused(name="hub", source="uoft-cs/cifar10")
    assert "pip install movinglands[hub]" in sentence


# All the way.


def test_a_landscape_of_pictures_in_a_folder(tiny, tmp_path):
    for index in range(90):
        save(tmp_path / "pictures" / f"{index % 3}" / f"{index}.png", random_image(index, 5, 5, 3))
    changes = {"name": "folder", "source": str(tmp_path / "pictures"), "size": 5}
    recipe = read_recipe(
        tiny.to_toml(), "", None, {f"data.{key}": value for key, value in changes.items()}
    )
    path = tmp_path / "a.h5"
    assert compute(recipe, path, "cpu")
    with open_sequence(path) as file:
        assert np.isfinite(file["surfaces/network/loss"][:]).all()
        # 3 channels in, 3 classes out.
        assert file["surfaces/network"].attrs["parameters"] == 2 * 27 + 2 + 4 + 2 * 18 + 2 + 4 + 9
    assert not compute(recipe, path, "cpu")
    fewer = read_recipe(recipe.to_toml(), "", None, {"data.limit": 10})
    with pytest.raises(UserError, match=r"training\.batch = 64: .*pictures has 10 training images"):
        compute(fewer, tmp_path / "b.h5", "cpu")
