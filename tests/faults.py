"""What can be wrong with a sequence file: each gives a change to an open one."""


def delete(name):
    def change(file):
        del file[name]

    return change


def replace(name, **dataset):
    def change(file):
        del file[name]
        file.create_dataset(name, **dataset)

    return change


def link(name, to):
    def change(file):
        del file[name]
        file[name] = to

    return change


def attribute(name, value):
    def change(file):
        file.attrs[name] = value

    return change


def group(name):
    def change(file):
        file.create_group(name)

    return change
