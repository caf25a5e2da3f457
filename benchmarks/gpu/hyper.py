"The methods of hypergradients on a wide network: seconds and memory beside plain gradients."
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

import torch
from sklearn.datasets import load_digits
from torch import Tensor
from torch.nn.functional import cross_entropy

from benchmarks.gpu.pack import Pack
from bstruct.hypergradient.call import hypergradient

METHODS = {
    "greedy": {"method": "greedy"},
    "unroll full": {"method": "unroll", "storage": "full"},
    "unroll trajectory": {"method": "unroll", "storage": "trajectory"},
    "unroll sqrt": {"method": "unroll", "storage": "sqrt"},
    "truncated, last 3": {"method": "truncated", "window": 3},
    "reversible": {"method": "reversible"},
    "drmad, 3 knots": {"method": "drmad", "knots": 3},
    "implicit, 5 iterations": {"method": "implicit", "iterations": 5},
    "neumann, 20 terms": {"method": "neumann", "iterations": 20},
    "unroll compiled": {"method": "unroll", "storage": "trajectory", "compile": True},
}


@dataclass
class Problem:
    "A tanh network on digits, width units, with a log-L2 of each weight as hyperparameter."

    inner: Callable
    outer: Callable
    theta: dict[str, Tensor]
    hyper: dict[str, Tensor]
    steps: int


def problem(pack: Pack) -> Problem:
    "64 -> width -> width -> 10, all 1000 training rows in a step."
    width, steps = (32, 4) if pack.quick else (4096, 10)
    g, x, y = torch.Generator().manual_seed(0), *load_digits(return_X_y=True)
    order = torch.randperm(len(x), generator=g)
    x, y = (torch.tensor(x) / 16)[order].float().to(pack.device), torch.tensor(y)[order]
    y, draw = y.to(pack.device), lambda *s: torch.randn(*s, generator=g).to(pack.device)
    root = width**0.5
    theta = {"w1": draw(64, width) / 8, "w2": draw(width, width) / root,
             "w3": draw(width, 10) / root}
    hyper = {k: -7 + 0.5 * draw(*v.shape) for k, v in theta.items()}
    predict = lambda t, x: torch.tanh(torch.tanh(x @ t["w1"]) @ t["w2"]) @ t["w3"]

    def inner(theta, hyper, step):
        penalty = sum((hyper[k].exp() * theta[k] ** 2).sum() for k in theta)
        return cross_entropy(predict(theta, x[:1000]), y[:1000]) + penalty / 2

    outer = lambda t, h: cross_entropy(predict(t, x[1000:1400]), y[1000:1400])
    return Problem(inner, outer, theta, hyper, steps)


def gradients(p: Problem) -> None:
    "The inner gradients of a whole run, and nothing else."
    for t in range(p.steps):
        theta = {k: v.detach().requires_grad_() for k, v in p.theta.items()}
        torch.autograd.grad(p.inner(theta, p.hyper, t), list(theta.values()))


def _measured(pack: Pack, f: Callable[[], object], rounds: int) -> dict:
    "Seconds of a call, the median of some, and how far the memory rises; the first is not timed."
    f()
    pack.wait()
    before = 0
    if pack.cuda:
        torch.cuda.reset_peak_memory_stats(pack.device)
        before = torch.cuda.memory_allocated(pack.device)
    times = []
    for _ in range(rounds):
        begin = time.perf_counter()
        f()
        pack.wait()
        times.append(time.perf_counter() - begin)
    return {"seconds": median(times),
            "bytes": torch.cuda.max_memory_allocated(pack.device) - before if pack.cuda else None}


def hypergradients(pack: Pack) -> None:
    "Every method through the same training; time in units of the plain gradients of it."
    p, rounds = problem(pack), 1 if pack.quick else 3
    size = sum(v.numel() for v in p.theta.values())
    pack.note(width=p.theta["w1"].shape[1], steps=p.steps, weights=size)
    plain = {"method": "gradients"}
    unit = pack.attempt("methods", plain, _measured, pack, lambda: gradients(p), rounds)
    truth: dict[str, Tensor] = {}

    def one(name: str) -> dict:
        def call():
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                given = p.inner, p.outer, p.theta, p.hyper
                found = hypergradient(*given, steps=p.steps, lr=0.1, momentum=0.9, **METHODS[name])
                kept["grads"] = found.grads
        kept: dict[str, dict[str, Tensor]] = {}
        found = _measured(pack, call, rounds)
        flat = torch.cat([v.flatten() for v in kept["grads"].values()])
        if name == "unroll full":
            truth["flat"] = flat
        cosine = lambda a, b: float(torch.nn.functional.cosine_similarity(a, b, 0))
        times = found["seconds"] / unit["seconds"] if "seconds" in unit else None
        return {**found, "gradients": times,
                "cosine": cosine(flat, truth["flat"]) if truth else None}
    for name in ("unroll full", *(n for n in METHODS if n != "unroll full")):
        if pack.quick and "compiled" in name:
            continue
        pack.attempt("methods", {"method": name}, one, name)
