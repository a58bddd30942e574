"""The product: train, sweep, evaluate, predict."""
