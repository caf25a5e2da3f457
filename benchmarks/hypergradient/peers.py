"The other libraries on the same problem, each in its own words: functions of the problem that return gradients."
import importlib
import importlib.metadata
from functools import partial

import numpy as np
import torch


def versions() -> dict:
    out = {}
    for name in ("torchopt", "higher", "jax"):
        try:
            out[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            out[name] = None
    return out


def _torchopt(p):
    import torchopt

    model = Flat(p)
    hyper = {k: v.detach().requires_grad_() for k, v in p.hyper.items()}
    opt = torchopt.MetaSGD(model, lr=p.lr, momentum=p.momentum)
    for t in range(p.steps):
        opt.step(p.inner(model.theta(), hyper, t))
    return dict(zip(hyper, torch.autograd.grad(p.outer(model.theta(), hyper), list(hyper.values()))))


def _higher(p):
    import higher

    model = Flat(p)
    hyper = {k: v.detach().requires_grad_() for k, v in p.hyper.items()}
    opt = torch.optim.SGD(model.parameters(), lr=p.lr, momentum=p.momentum)
    with higher.innerloop_ctx(model, opt, copy_initial_weights=True) as (fast, steps):
        for t in range(p.steps):
            steps.step(p.inner(fast(None), hyper, t))
        return dict(zip(hyper, torch.autograd.grad(p.outer(fast(None), hyper), list(hyper.values()))))


class Flat(torch.nn.Module):
    "The weights of a problem as a module; called, it gives them as a dictionary."

    def __init__(self, p):
        super().__init__()
        self.names = list(p.theta)
        for k, v in p.theta.items():
            self.register_parameter(k, torch.nn.Parameter(v.detach().clone()))

    def theta(self):
        return {k: getattr(self, k) for k in self.names}

    def forward(self, _):
        return self.theta()


_JITTED = {}


def _jax(p, remat=False):
    "jax.lax.scan over the steps, compiled once for each problem; `remat` recomputes what it does not store."
    import jax
    import jax.numpy as jnp

    key = id(p), remat
    if key not in _JITTED:
        a, b, va, vb, rows = (jnp.asarray(v.numpy()) for v in p.data)
        predict = lambda t, x: jnp.tanh(x @ t["w1"] + t["b1"]) @ t["w2"] + t["b2"]
        loss = lambda z, y: -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(z), y[:, None], 1))
        penalty = lambda t, h: sum((jnp.exp(h[k]) * t[k] ** 2).sum() for k in t) / 2
        inner = lambda t, h, i: loss(predict(t, a[i]), b[i]) + penalty(t, h)

        def outcome(h, theta):
            def step(state, i):
                t, v = state
                g = jax.grad(inner)(t, h, i)
                v = {k: p.momentum * v[k] + g[k] for k in g}
                return ({k: t[k] - p.lr * v[k] for k in t}, v), None

            start = theta, {k: jnp.zeros_like(v) for k, v in theta.items()}
            (t, _), _ = jax.lax.scan(jax.checkpoint(step) if remat else step, start, rows[: p.steps])
            return loss(predict(t, va), vb)

        _JITTED[key] = jax.jit(jax.grad(outcome)), p
    to = lambda d: {k: jnp.asarray(v.numpy()) for k, v in d.items()}
    found = _JITTED[key][0](to(p.hyper), to(p.theta))
    return {k: torch.from_numpy(np.array(v)) for k, v in found.items()}


CALLS = {"torchopt": _torchopt, "higher": _higher, "jax": _jax, "jax remat": partial(_jax, remat=True)}


def available() -> dict:
    "The peers that import here."
    out = {}
    for name, call in CALLS.items():
        try:
            importlib.import_module(name.split()[0])
            out[name] = call
        except Exception as cause:
            print(f"{name} does not import: {type(cause).__name__}: {cause}")
    return out
