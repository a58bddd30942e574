"""Mini-batch training: the loop, and what it can be told to use."""

OPTIMIZERS = {
    name: f"linnet.training.optimizers:{name}"
    for name in (
        "sgd",
        "adam",
        "adamw",
        "adagrad",
        "adamax",
        "asgd",
        "rmsprop",
        "rprop",
        "lbfgs",
    )
}

SCHEDULES = {
    "constant": "linnet.training.schedules:constant",
    "step": "linnet.training.schedules:step",
    "exponential": "linnet.training.schedules:exponential",
    "cosine": "linnet.training.schedules:cosine",
    "one_cycle": "linnet.training.schedules:one_cycle",
    "plateau": "linnet.training.schedules:constant",
}

OPTIONS = {
    "momentum": ("sgd", "rmsprop"),
    "dampening": ("sgd",),
    "nesterov": ("sgd",),
    "betas": ("adam", "adamw", "adamax"),
    "eps": ("adam", "adamw", "adagrad", "adamax", "rmsprop"),
    "alpha": ("rmsprop",),
    "weight_decay": ("sgd", "adam", "adamw", "adagrad", "adamax", "asgd", "rmsprop"),
}
"""What an optimiser can be told, and which ones take it."""
