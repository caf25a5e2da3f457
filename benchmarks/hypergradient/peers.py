"""Libraries that differentiate a whole training run, each in its own words: functions of the
problem."""
import importlib
import importlib.metadata
from functools import partial

import numpy as np
import torch

PACKAGES = ["torchopt", "higher", "jax", "boat-torch", "betty-ml", "hypergrad", "hippotrainer",
            "gradhpo"]


def versions() -> dict:
    out = {}
    for name in PACKAGES:
        try:
            out[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            out[name] = None
    return out


def _torchopt(p):
    import torchopt

    model = Flat(p.theta)
    hyper = {k: v.detach().requires_grad_() for k, v in p.hyper.items()}
    opt = torchopt.MetaSGD(model, lr=p.lr, momentum=p.momentum)
    for t in range(p.steps):
        opt.step(p.inner(model.theta(), hyper, t))
    return dict(zip(hyper, torch.autograd.grad(p.outer(model.theta(), hyper),
                                               list(hyper.values()))))


def _higher(p):
    import higher

    model = Flat(p.theta)
    hyper = {k: v.detach().requires_grad_() for k, v in p.hyper.items()}
    opt = torch.optim.SGD(model.parameters(), lr=p.lr, momentum=p.momentum)
    with higher.innerloop_ctx(model, opt, copy_initial_weights=True) as (fast, steps):
        for t in range(p.steps):
            steps.step(p.inner(fast(None), hyper, t))
        return dict(zip(hyper, torch.autograd.grad(p.outer(fast(None), hyper),
                                                   list(hyper.values()))))


class Flat(torch.nn.Module):
    "Tensors of a dictionary as the parameters of a module; called, it gives them as a dictionary."

    def __init__(self, tree):
        super().__init__()
        self.names = list(tree)
        for k, v in tree.items():
            self.register_parameter(k, torch.nn.Parameter(v.detach().clone()))

    def theta(self):
        return {k: getattr(self, k) for k in self.names}

    def forward(self, *_):
        return self.theta()


def boat(p, method: str, steps: int, **more) -> dict:
    "BOAT's gradient mapping and hypergradient operation `method`, after `steps` of its inner loop."
    from boat_torch import boat_opt

    lower, upper, step = Flat(p.theta), Flat(p.hyper), iter(range(10**9))
    named = lambda module, params: dict(
        zip(module.names, params)) if params is not None else module.theta()
    losses = {
        "inner": lambda feed, ul, ll, params=None: p.inner(
            named(lower, params or list(ll.parameters())), ul.theta(),
                                                           next(step) % max(steps, 1)),
        "outer": lambda feed, ul, ll, params=None: p.outer(
            named(lower, params or list(ll.parameters())), ul.theta()),
    }
    # it wants the names of importable ones
    boat_opt._load_loss_function = lambda config: losses[config["function"]]
    config = {
        "fo_op": None, "gm_op": ["NGD"], "na_op": [method], "lower_level_model": lower,
              "upper_level_model": upper,
        "lower_level_var": list(lower.parameters()), "upper_level_var": list(upper.parameters()),
        "lower_level_opt": torch.optim.SGD(lower.parameters(), lr=p.lr, momentum=p.momentum),
        "upper_level_opt": torch.optim.SGD(upper.parameters(), lr=0.0), "lower_iters": steps,
              "device": "cpu",
        "loss_log_path": "/dev/null", "accumulate_grad": False, "copy_last_param": False,
              "return_grad": True,
        "GDA": {"alpha_init": 0.0, "alpha_decay": 0.9}, "RGT": {"truncate_iter": 0}, **more,
    }
    names = {"lower_level_loss": {"function": "inner"}, "upper_level_loss": {"function": "outer"}}
    problem = boat_opt.Problem(config, names)
    problem.build_ll_solver().build_ul_solver()
    return dict(zip(upper.names, problem.run_iter({}, {}, 0)[0]))


_JITTED = {}


def _jax(p, remat=False):
    """jax.lax.scan over the steps, compiled once for each problem; `remat` recomputes what it does
    not store."""
    import jax
    import jax.numpy as jnp

    key = id(p), p.steps, remat
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
            (t, _), _ = jax.lax.scan(jax.checkpoint(step) if remat else step, start,
                                     rows[: p.steps])
            return loss(predict(t, va), vb)

        _JITTED[key] = jax.jit(jax.grad(outcome)), p
    to = lambda d: {k: jnp.asarray(v.numpy()) for k, v in d.items()}
    found = _JITTED[key][0](to(p.hyper), to(p.theta))
    return {k: torch.from_numpy(np.array(v)) for k, v in found.items()}


CALLS = {"torchopt": ("torchopt", _torchopt), "higher": ("higher", _higher),
         "boat": ("boat_torch", lambda p: boat(p, "RAD", p.steps)), "jax": ("jax", _jax),
         "jax remat": ("jax", partial(_jax, remat=True))}


def available(calls: dict) -> tuple[dict, dict]:
    """Of (package, function) by name: the functions whose package imports here, and why the others
    do not."""
    out, broken = {}, {}
    for name, (package, call) in calls.items():
        try:
            importlib.import_module(package)
            out[name] = call
        except Exception as cause:
            broken[name] = brief(cause)
    return out, broken


def brief(cause: Exception) -> str:
    return f"{type(cause).__name__}: {cause}".splitlines()[0][:160]
