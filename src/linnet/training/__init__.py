"""Mini-batch training: the loop, and what it can be told to use."""

OPTIMIZERS = {
    "sgd": "linnet.training.optimizers:sgd",
    "adamw": "linnet.training.optimizers:adamw",
}

SCHEDULES = {
    "constant": "linnet.training.schedules:constant",
    "one_cycle": "linnet.training.schedules:one_cycle",
}
