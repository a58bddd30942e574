"""Pictures: IDX, CIFAR, folders."""
