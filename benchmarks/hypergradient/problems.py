"The problems: a tanh network and a logistic regression on digits, each weight with its own log-L2."
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn.functional import cross_entropy


@dataclass
class Problem:
    inner: Any
    outer: Any
    theta: dict
    hyper: dict
    steps: int
    lr: float = 0.1
    momentum: float = 0.9
    data: Any = None  # what a peer needs that takes no closures

    def arguments(self):
        return self.inner, self.outer, self.theta, self.hyper

    def training(self):
        return {"steps": self.steps, "lr": self.lr, "momentum": self.momentum}


def _digits(seed):
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(seed))
    return torch.tensor(x / 16)[order], torch.tensor(y)[order]


def network(width=100, batch=256, steps=100, seed=0, dtype=torch.float32) -> Problem:
    """Problem (b): tanh network 64-width-10, 1000 digits to train on, 400 to validate, log-L2 of
    each weight around -7."""
    g = torch.Generator().manual_seed(seed)
    x, y = _digits(seed)
    x = x.to(dtype)
    a, b, va, vb = x[:1000], y[:1000], x[1000:1400], y[1000:1400]
    rows = torch.stack([torch.randperm(1000, generator=g)[:batch] for _ in range(max(steps, 100))])
    draw = lambda *shape: torch.randn(*shape, generator=g, dtype=torch.float64).to(dtype)
    theta = {"w1": draw(64, width) / 8, "b1": draw(width) * 0, "w2": draw(width, 10) / width**0.5,
             "b2": draw(10) * 0}
    hyper = {k: -7 + 0.5 * draw(*v.shape) for k, v in theta.items()}
    predict = lambda t, x: torch.tanh(x @ t["w1"] + t["b1"]) @ t["w2"] + t["b2"]

    def inner(theta, hyper, step):
        i = rows[step]
        penalty = sum((hyper[k].exp() * theta[k] ** 2).sum() for k in theta)
        return cross_entropy(predict(theta, a[i]), b[i]) + penalty / 2

    outer = lambda t, h: cross_entropy(predict(t, va), vb)
    return Problem(inner, outer, theta, hyper, steps, data=(a, b, va, vb, rows))


def logistic(spread=0.5, seed=0, dtype=torch.float64) -> Problem:
    """Problem (a): logistic regression on digits, 650 weights, their log-L2 drawn from N(-3,
    spread)."""
    g = torch.Generator().manual_seed(seed)
    x, y = _digits(seed)
    x = torch.cat([x, torch.ones(len(x), 1)], 1).to(dtype)
    theta = {"w": torch.zeros(65, 10, dtype=dtype)}
    hyper = {"w": -3 + spread * torch.randn(65, 10, generator=g, dtype=torch.float64).to(dtype)}
    inner = lambda t, h, s: cross_entropy(x[:1000] @ t["w"], y[:1000]) + (
        h["w"].exp() * t["w"] ** 2).sum() / 2
    return Problem(inner, lambda t, h: cross_entropy(x[1000:1400] @ t["w"], y[1000:1400]), theta,
                   hyper, 1)


def minimiser(problem: Problem) -> dict:
    "The inner minimiser of a convex problem, by L-BFGS in float64."
    theta = {k: v.double().clone().requires_grad_() for k, v in problem.theta.items()}
    opt = torch.optim.LBFGS(list(theta.values()), max_iter=3000, history_size=50,
                            tolerance_grad=1e-13, tolerance_change=0, line_search_fn="strong_wolfe")
    hyper = {k: v.double() for k, v in problem.hyper.items()}

    def closure():
        opt.zero_grad()
        loss = problem.inner(theta, hyper, 0)
        loss.backward()
        return loss

    for _ in range(4):
        opt.step(closure)
    return {k: v.detach() for k, v in theta.items()}


def plain_unroll(p: Problem) -> dict:
    "What anybody would write: one autograd graph through all steps."
    hyper = {k: v.detach().requires_grad_() for k, v in p.hyper.items()}
    theta = {k: v.detach().requires_grad_() for k, v in p.theta.items()}
    velocity = {k: torch.zeros_like(v) for k, v in theta.items()}
    for t in range(p.steps):
        g = torch.autograd.grad(p.inner(theta, hyper, t), list(theta.values()), create_graph=True)
        velocity = {k: p.momentum * velocity[k] + d for k, d in zip(velocity, g)}
        theta = {k: theta[k] - p.lr * velocity[k] for k in theta}
    return dict(zip(hyper, torch.autograd.grad(p.outer(theta, hyper), list(hyper.values()))))


def gradients(p: Problem) -> None:
    "The inner gradients of a whole run, and nothing else: the unit g."
    for t in range(p.steps):
        theta = {k: v.detach().requires_grad_() for k, v in p.theta.items()}
        torch.autograd.grad(p.inner(theta, p.hyper, t), list(theta.values()))
