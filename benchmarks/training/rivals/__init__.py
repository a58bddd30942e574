"""One file per rival: ``train`` and, where it ships one, its own example, as ``problem`` says."""
