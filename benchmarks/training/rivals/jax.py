"""JAX: an epoch as one compiled program, a scan over its batches."""

from __future__ import annotations

from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
from problem import BATCH, LR, MOMENTUM, WIDTHS, Predict, Task, Tick, scaled

Layers = list[tuple[jax.Array, jax.Array]]


def start(seed: int) -> Layers:
    """PyTorch's own initial weights: uniform, both kinds, by the number of inputs."""
    random = np.random.default_rng(seed)

    def uniform(before: int, *shape: int) -> jax.Array:
        bound = before**-0.5
        return jnp.asarray(random.uniform(-bound, bound, shape).astype(np.float32))

    widths = (784, *WIDTHS, 10)
    return [(uniform(a, a, b), uniform(a, b)) for a, b in pairwise(widths)]


def raw(layers: Layers, x: jax.Array) -> jax.Array:
    """The network."""
    for weight, bias in layers[:-1]:
        x = jax.nn.relu(x @ weight + bias)
    weight, bias = layers[-1]
    return x @ weight + bias


def loss(layers: Layers, x: jax.Array, y: jax.Array) -> jax.Array:
    """Mean cross entropy."""
    log_p = jax.nn.log_softmax(raw(layers, x))
    return -jnp.take_along_axis(log_p, y[:, None], 1).mean()


def train(task: Task, tick: Tick, anew: bool = False) -> Predict:
    """The shared recipe, data on the device; ``anew`` compiles again for every epoch."""
    x, y = jnp.asarray(scaled(task.x)), jnp.asarray(task.y.astype(np.int32))
    whole = len(x) // BATCH * BATCH

    def step(state, batch):  # type: ignore[no-untyped-def]
        layers, speed = state
        value, slope = jax.value_and_grad(loss)(layers, *batch)
        speed = jax.tree.map(lambda v, g: MOMENTUM * v + g, speed, slope)
        return (jax.tree.map(lambda p, v: p - LR * v, layers, speed), speed), value

    def epoch(state, key, x, y):  # type: ignore[no-untyped-def]
        def at(state, rows):  # type: ignore[no-untyped-def]
            return step(state, (x[rows], y[rows]))

        order = jax.random.permutation(key, len(x))
        state, values = jax.lax.scan(at, state, order[:whole].reshape(-1, BATCH))
        if whole < len(x):
            state, _ = at(state, order[whole:])
        return state, values.mean()

    compiled = jax.jit(epoch)
    layers = start(task.seed)
    state = (layers, jax.tree.map(jnp.zeros_like, layers))
    key = jax.random.key(task.seed)
    for _ in range(task.epochs):
        if anew:
            jax.clear_caches()
        key, here = jax.random.split(key)
        state, _ = compiled(state, here, x, y)
        jax.block_until_ready(state)
        tick(None)
    return lambda pictures: np.asarray(raw(state[0], jnp.asarray(scaled(pictures))).argmax(1))
