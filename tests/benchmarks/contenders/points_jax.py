"""The same by jax.jit(vmap(value_and_grad)), compiled beforehand."""

import sys

import jax
import jax.numpy as jnp
import numpy as np
from timing import median_seconds, report

jax.config.update("jax_enable_x64", True)


def staged(x, y):
    sigy = 1.0 / (1 + jnp.exp(-y))
    num = x + sigy
    sigx = 1.0 / (1 + jnp.exp(-x))
    den = sigx + (x + y) ** 2
    return num * (1.0 / den)


count = int(sys.argv[1])
rng = np.random.default_rng(0)
x, y = jnp.asarray(rng.normal(size=count)), jnp.asarray(rng.normal(size=count))
function = jax.jit(jax.vmap(jax.value_and_grad(staged, (0, 1))))
report(seconds=median_seconds(lambda: jax.block_until_ready(function(x, y))))
