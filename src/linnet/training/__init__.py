"""Mini-batch training: the loop, and what it can be told to use."""

OPTIMIZERS = {
    "sgd": "linnet.training.optimizers:sgd",
    "adam": "linnet.training.optimizers:adam",
    "adamw": "linnet.training.optimizers:adamw",
}

SCHEDULES = {
    "constant": "linnet.training.schedules:constant",
    "one_cycle": "linnet.training.schedules:one_cycle",
}
