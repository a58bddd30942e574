"""Reading data: every source returns the same kind of ``Dataset``."""

SOURCES = {
    "builtin": "linnet.data.memory.builtin:Builtin",
    "frames": "linnet.data.memory.frames:Frames",
    "memory": "linnet.data.memory.memory:Memory",
    "arrays": "linnet.data.memory.arrays:Arrays",
    "idx": "linnet.data.pictures.idx:Idx",
    "cifar": "linnet.data.pictures.cifar:Cifar",
    "parquet": "linnet.data.parquet.parquet:Parquet",
    "arrow": "linnet.data.arrow.arrow:Arrow",
    "excel": "linnet.data.excel:Excel",
    "csv": "linnet.data.text.csv:Csv",
    "jsonl": "linnet.data.text.jsonl:JsonLines",
    "several": "linnet.data.several:Several",
    "folder": "linnet.data.pictures.folder:Folder",
}
"""All sources. linnet asks them in this order whether they can read a place."""

GROUP = "linnet.sources"
"""The entry points by which other packages add sources."""

BUILTIN = {
    "breast_cancer": "569 rows, 30 columns, 2 classes",
    "diabetes": "442 rows, 10 columns, regression",
    "digits": "1,797 pictures of 8 x 8, 10 classes",
    "iris": "150 rows, 4 columns, 3 classes",
    "wine": "178 rows, 13 columns, 3 classes",
}
"""The data sets that come with scikit-learn."""
