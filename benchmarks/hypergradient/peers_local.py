"""Libraries that differentiate one step, or solve the linear system at a minimum: functions of the
problem."""
from types import SimpleNamespace

import numpy as np
import torch

from benchmarks.hypergradient.peers import Flat, boat


class _Penalised:
    """The inner loss as a criterion of predictions: for a library whose training and validation
    share one."""

    def __init__(self, p, model, hyper):
        self.p, self.model, self.hyper = p, model, hyper

    def __call__(self, z, y):
        penalty = sum((h.exp() * v**2).sum() for h, v in zip(
            self.hyper.values(), self.model.parameters()))
        return torch.nn.functional.cross_entropy(z, y) + penalty / 2


class _Network(Flat):
    def forward(self, x):
        t = self.theta()
        return torch.tanh(x @ t["w1"] + t["b1"]) @ t["w2"] + t["b2"]


def hippo_step(p, kind="T1T2", **more) -> dict:
    """One step by hippotrainer's own loop: train, step, evaluate, hyper_grad, with the one
    criterion that it takes."""
    import hippotrainer

    model, hyper = _Network(p.theta), {k: v.detach().clone() for k, v in p.hyper.items()}
    a, b, va, vb, rows = p.data
    criterion, opt = _Penalised(p, model, hyper), torch.optim.SGD(model.parameters(), lr=p.lr)
    train, val = [(a[rows[0]], b[rows[0]])], [(va, vb)]
    tuner = getattr(hippotrainer, kind)(hyper, 1.0, 1, model, opt, train, val, criterion, **more)
    before = {k: v.clone() for k, v in hyper.items()}
    opt.zero_grad()
    loss = criterion(model(train[0][0]), train[0][1])
    loss.backward()
    tuner.step(loss)
    return {k: before[k] - hyper[k].detach() for k in hyper}


_JITTED = {}


def gradhpo_step(p, kind: str, **more) -> dict:
    "One step by gradhpo (JAX): Greedy with a horizon of one, or T1T2."
    import gradhpo
    import jax
    import jax.numpy as jnp
    import optax

    a, b, va, vb, rows = (jnp.asarray(v.numpy()) for v in p.data)
    to = lambda d: {k: jnp.asarray(v.numpy()) for k, v in d.items()}
    predict = lambda t, x: jnp.tanh(x @ t["w1"] + t["b1"]) @ t["w2"] + t["b2"]
    loss = lambda z, y: -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(z), y[:, None], 1))
    penalty = lambda t, h: sum((jnp.exp(h[k]) * t[k] ** 2).sum() for k in t) / 2
    train = lambda t, h, batch: loss(predict(t, batch[0]), batch[1]) + penalty(t, h)
    val = lambda t, h, batch: loss(predict(t, batch[0]), batch[1])
    if (id(p), kind) not in _JITTED:
        method = getattr(gradhpo, kind)(optax.sgd(p.lr), optax.sgd(1.0), **more)
        batches = (a[rows[0]], b[rows[0]]), (va, vb)
        one = lambda t, h: method.compute_hypergradient(method.init(t, h), *batches, train, val)
        _JITTED[id(p), kind] = jax.jit(one), p
    found = _JITTED[id(p), kind][0](to(p.theta), to(p.hyper))
    return {k: torch.from_numpy(np.array(v)) for k, v in found.items()}


def betty(p, kind: str, iterations: int = 1, **more) -> dict:
    "betty-ml's hypergradient through one level at its present weights."
    from betty.configs import Config
    from betty.hypergradient import get_grads

    lower, upper = Flat(p.theta), Flat(p.hyper)
    config = Config(type=kind, cg_iterations=iterations, neumann_iterations=iterations, **more)
    level = lambda module, config=None: SimpleNamespace(
        paths=[], config=config, cur_batch=None, parameters=lambda: list(module.parameters()),
        trainable_parameters=lambda: list(module.parameters()),
        training_step_exec=lambda batch: p.inner(lower.theta(), upper.theta(), 0))
    path = [level(upper), level(lower, config), level(upper)]
    return dict(zip(upper.names, get_grads(p.outer(lower.theta(), upper.theta()), path,
                                           retain_graph=True)))


def hypergrad(p, kind: str, **more) -> dict:
    "PyPI's hypergrad at the present weights."
    from hypergrad import approx_hypergrad

    torch.manual_seed(0)  # of its random ranks
    tree = lambda like, values: dict(zip(like, values))
    inner = lambda a, b: p.inner(tree(p.theta, a), tree(p.hyper, b), 0)
    outer = lambda a, b: p.outer(tree(p.theta, a), tree(p.hyper, b))
    values = tuple(p.theta.values()), tuple(p.hyper.values())
    return tree(p.hyper, getattr(approx_hypergrad, kind)(inner, outer, *values, **more))


def hippo_system(p, kind: str, lr=None, **more) -> dict:
    "hippotrainer's hyper_grad at the present weights, with the two losses kept apart."
    import hippotrainer

    model, hyper = Flat(p.theta), {k: v.detach().clone() for k, v in p.hyper.items()}
    opt = torch.optim.SGD(model.parameters(), lr=lr or p.lr)
    tuner = getattr(hippotrainer, kind)(hyper, 1.0, 1, model, opt, [], [], None, **more)
    tuner._hyperparams_requires_grad_(True)
    # its Neumann refuses a validation loss without hyper
    silent = 0.0 * sum(h.sum() for h in hyper.values())
    return dict(zip(hyper, tuner.hyper_grad(p.inner(model.theta(), hyper, 0),
                                            p.outer(model.theta(), hyper) + silent)))


def torchopt_system(p, iterations: int) -> dict:
    "TorchOpt's implicit differentiation, its conjugate gradients stopped after so many iterations."
    import torchopt

    names, flat = list(p.theta), lambda d: tuple(d.values())
    inner = lambda a, b: p.inner(dict(zip(names, a)), dict(zip(p.hyper, b)), 0)
    slope = lambda a, b: torch.func.grad(inner)(a, b)
    solver = torchopt.linear_solve.solve_cg(rtol=0.0, maxiter=iterations)
    root = torchopt.diff.implicit.custom_root(slope, argnums=1, solve=solver)(lambda a, b: a)
    hyper = {k: v.detach().clone().requires_grad_() for k, v in p.hyper.items()}
    start = tuple(v.detach().clone().requires_grad_() for v in p.theta.values())
    found = root(start, flat(hyper))
    grads = torch.autograd.grad(p.outer(dict(zip(names, found)), hyper), list(hyper.values()))
    return dict(zip(hyper, grads))


ONE_STEP = {
    "hippotrainer T1T2": ("hippotrainer", hippo_step),
    "hippotrainer DRMAD": ("hippotrainer", lambda p: hippo_step(p, "DRMAD")),
    "gradhpo Greedy": ("gradhpo", lambda p: gradhpo_step(p, "GreedyOptimizer", unroll_steps=1,
                                                         gamma=1.0)),
    "gradhpo T1T2": ("gradhpo", lambda p: gradhpo_step(p, "T1T2Optimizer")),
    "betty darts": ("betty", lambda p: betty(p, "darts")),
}
SYSTEMS = {
    "betty cg": ("betty", lambda p, k: betty(p, "cg", k)),
    "betty neumann": ("betty", lambda p, k: betty(p, "neumann", k, neumann_alpha=p.lr)),
    "boat CG": ("boat_torch", lambda p, k: boat(p, "CG", 1, CG={"tolerance": 1e-10, "k": k})),
    # reads CG's options
    "boat NS": ("boat_torch", lambda p, k: boat(p, "NS", 1, CG={"tolerance": 1e-10, "k": k})),
    "hypergrad cg": ("hypergrad", lambda p, k: hypergrad(p, "conjugate_gradient", num_iters=k,
                                                         lr=1.0)),
    "hypergrad neumann": ("hypergrad", lambda p, k: hypergrad(p, "neumann", num_iters=k, lr=p.lr)),
    "hypergrad nystrom": ("hypergrad", lambda p, k: hypergrad(p, "nystrom", rank=k, rho=0.01)),
    "hippotrainer HOAG": ("hippotrainer", lambda p, k: hippo_system(p, "HOAG", cg_max_iter=k)),
    "hippotrainer Neumann": ("hippotrainer", lambda p, k: hippo_system(p, "Neumann", num_terms=k)),
    "torchopt implicit": ("torchopt", torchopt_system),
}
WHY = {
    "hippotrainer T1T2": "no learning rate in its formula; one criterion, so the penalty is in the "
                         "validation loss",
    "hippotrainer DRMAD": "asks autograd for a gradient that its own in-place interpolation has "
                          "invalidated",
    "gradhpo T1T2": "perturbs a whole leaf at once and gives each of its elements the sum",
    "betty darts": "an implicit gradient with the Hessian taken for the identity: a direction, not "
                   "a step's derivative",
    "betty cg": "its next direction starts from the residual of the step before",
    "hypergrad cg": "its next direction starts from the residual of the step before",
    "boat CG": "stops before it stores the last iterate",
    "hippotrainer Neumann": "multiplies the sum by the learning rate at each term",
    "hypergrad nystrom": "a random low rank plus rho: its error falls with the rank only",
    "hippotrainer HOAG": "stops at an absolute squared residual of 1e-4, whatever the "
                         "right-hand side",
}
