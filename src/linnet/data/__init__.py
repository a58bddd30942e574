"""Places of data, read into one kind of ``Dataset``."""

SOURCES = {
    "builtin": "linnet.data.sources.builtin:Builtin",
    "memory": "linnet.data.sources.memory:Memory",
    "arrays": "linnet.data.sources.arrays:Arrays",
    "idx": "linnet.data.sources.idx:Idx",
    "cifar": "linnet.data.sources.cifar:Cifar",
    "folder": "linnet.data.sources.folder:Folder",
}
"""Every source, in the order in which a place is offered to them."""
