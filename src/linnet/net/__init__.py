"""Mini-batch training: the loop, and the optimisers and schedules that it can use."""

OPTIMIZERS = {
    name: f"linnet.net.optimizers:{name}"
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
    "constant": "linnet.net.schedules:constant",
    "step": "linnet.net.schedules:step",
    "exponential": "linnet.net.schedules:exponential",
    "cosine": "linnet.net.schedules:cosine",
    "one_cycle": "linnet.net.schedules:one_cycle",
    "plateau": "linnet.net.schedules:constant",
    "inverse": "linnet.net.schedules:inverse",
    "adaptive": "linnet.net.schedules:constant",
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
"""For each option the optimisers that have it."""
