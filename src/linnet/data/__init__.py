"""Places of data, read into one kind of ``Dataset``."""

SOURCES = {
    "builtin": "linnet.data.sources.builtin:Builtin",
    "frames": "linnet.data.sources.frames:Frames",
    "memory": "linnet.data.sources.memory:Memory",
    "arrays": "linnet.data.sources.arrays:Arrays",
    "idx": "linnet.data.sources.idx:Idx",
    "cifar": "linnet.data.sources.cifar:Cifar",
    "parquet": "linnet.data.sources.parquet:Parquet",
    "csv": "linnet.data.sources.csv:Csv",
    "folder": "linnet.data.sources.folder:Folder",
}
"""Every source, in the order in which a place is offered to them."""

BUILTIN = {
    "breast_cancer": "569 rows, 30 columns, 2 classes",
    "diabetes": "442 rows, 10 columns, regression",
    "digits": "1,797 pictures of 8 x 8, 10 classes",
    "iris": "150 rows, 4 columns, 3 classes",
    "wine": "178 rows, 13 columns, 3 classes",
}
"""The data sets that come with scikit-learn."""
