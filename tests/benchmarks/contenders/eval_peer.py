"""An eval by torch (eager), JAX (compiled) or autograd: its text run with their functions."""

import os
import sys

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
peer, name, *sizes = sys.argv[1:]

import numpy as np  # noqa: E402
from evals import EVALS, Eval  # noqa: E402
from timing import median_seconds, report  # noqa: E402

one = EVALS[name](*map(int, sizes))
code = compile(one.text, name, "exec")


def function(namespace):
    """The eval as a function of its inputs `wrt`, by the functions of a namespace."""

    def run(wrt, others):
        names = {"np": namespace, **dict(zip(one.wrt, wrt, strict=True)), **others}
        exec(code, names)
        return names["y"]

    return run


def by_torch(one: Eval):
    import torch

    torch.set_num_threads(1)

    def extremum(function):
        def call(x, axis=None, keepdims=False):
            return function(x, dim=() if axis is None else axis, keepdim=keepdims)

        return staticmethod(call)

    class Names:
        exp, log, tanh, einsum, sign = torch.exp, torch.log, torch.tanh, torch.einsum, torch.sign
        concatenate, sum = torch.cat, torch.sum
        max, min = extremum(torch.amax), extremum(torch.amin)

        @staticmethod
        def linspace(low, high, count):
            return torch.linspace(low, high, count, dtype=torch.float64)

    tensors = {key: torch.tensor(value) for key, value in one.arrays.items()}
    others = {key: value for key, value in tensors.items() if key not in one.wrt}
    run = function(Names)

    def call():
        wrt = [tensors[key].clone().requires_grad_() for key in one.wrt]
        if not one.hvp:
            return torch.autograd.grad(run(wrt, others), wrt)
        slopes = torch.autograd.grad(run(wrt, others), wrt, create_graph=True)
        return torch.autograd.grad(slopes, wrt, [torch.ones_like(x) for x in slopes])

    return call


def by_jax(one: Eval):
    import jax

    jax.config.update("jax_enable_x64", True)
    arrays = {key: jax.numpy.asarray(value) for key, value in one.arrays.items()}
    others = {key: value for key, value in arrays.items() if key not in one.wrt}
    run = SCANNED[name](jax, *map(int, sizes)) if name in SCANNED else function(jax.numpy)
    wrt = [arrays[key] for key in one.wrt]
    slopes = jax.grad(run)
    if one.hvp:
        ones = [jax.numpy.ones_like(x) for x in wrt]
        compiled = jax.jit(lambda x, o: jax.jvp(lambda z: slopes(z, o), (x,), (ones,))[1])
    else:
        compiled = jax.jit(slopes)
    return lambda: [x.block_until_ready() for x in compiled(wrt, others)]


def lstm_scanned(jax, layers: int, steps: int):
    """As a JAX user writes it: a scan over the steps."""
    jnp, sigmoid = jax.numpy, jax.nn.sigmoid

    def run(wrt, others):
        (main, extra), (state, sequence) = wrt, (others["state"], others["sequence"])

        def step(carry, pair):
            new, (now, then) = [], pair
            x = now * extra[0]
            for layer in range(layers):
                h, c, w, b = (
                    carry[2 * layer],
                    carry[2 * layer + 1],
                    main[2 * layer],
                    main[2 * layer + 1],
                )
                f, i, o = (
                    sigmoid(x * w[0] + b[0]), sigmoid(h * w[1] + b[1]), sigmoid(x * w[2] + b[2])
                )  # fmt: skip
                c = c * f + i * jnp.tanh(h * w[3] + b[3])
                h = x = o * jnp.tanh(c)
                new += [h, c]
            p = x * extra[1] + extra[2]
            loss = jnp.sum(then * (p - jnp.log(2.0 + jnp.sum(jnp.exp(p)))))
            return jnp.stack(new), loss

        _, losses = jax.lax.scan(step, state, (sequence[:-1], sequence[1:]))
        return -jnp.sum(losses) / (steps * 14.0)

    return run


def ode_scanned(jax, size: int, steps: int):
    """A scan over the steps, too."""
    jnp, h = jax.numpy, 1.0 / steps

    def run(wrt, others):
        (x,) = wrt

        def slope(v):
            return jnp.concatenate([x[:1], x[1:] * v[:-1]])

        def step(v, _):
            k1 = slope(v)
            k2 = slope(v + 0.5 * h * k1)
            k3 = slope(v + 0.5 * h * k2)
            k4 = slope(v + h * k3)
            return v + h / 6.0 * (k1 + 2.0 * k2 + 2.0 * k3 + k4), None

        return jnp.sum(jax.lax.scan(step, jnp.ones(size), None, steps)[0])

    return run


SCANNED = {"lstm": lstm_scanned, "ode": ode_scanned}


def by_autograd(one: Eval):
    import autograd
    import autograd.numpy as anp

    others = {key: value for key, value in one.arrays.items() if key not in one.wrt}
    run = function(anp)
    wrt = [one.arrays[key] for key in one.wrt]
    slopes = autograd.grad(lambda x: run(x, others))
    if not one.hvp:
        return lambda: slopes(wrt)
    product = autograd.hessian_vector_product(lambda x: run([x], others))
    ones = np.ones(wrt[0].shape)
    return lambda: [product(wrt[0], ones)]


call = {"torch": by_torch, "jax": by_jax, "autograd": by_autograd}[peer](one)
answer = [float(np.linalg.norm(np.asarray(part))) for part in call()]
report(seconds=median_seconds(call, 1.0), answer=answer)
