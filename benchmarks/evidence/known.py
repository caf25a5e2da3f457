"""The test problems, and the truth of each from a computation that shares no code with the
estimators under test."""
import math

import numpy as np
import torch
from scipy.optimize import minimize
from scipy.special import expit
from scipy.stats import multivariate_t

from bstruct.evidence.problems import (
    Problem,
    grid_log_evidence,
    logistic_problem,
    polynomial_problem,
    tanh_problem,
)
from bstruct.evidence.smc import smc

TANH = {"tanh 1": (1, 0), "tanh 2": (2, 0), "tanh 3": (3, 0), "tanh 3, seed 7": (3, 7),
        "tanh 4": (4, 0), "tanh 4, seed 7": (4, 7)}


def problems() -> dict[str, Problem]:
    "Name -> problem: one linear, two logistic, six networks."
    logistic = {f"logistic {d}": logistic_problem(d) for d in (10, 30)}
    return {"polynomial 4": polynomial_problem(4)} | logistic | {
        k: tanh_problem(*v) for k, v in TANH.items()}


def numpy_log_likelihood(p: Problem):
    "The likelihood of a flat whitened vector in numpy, as a user of dynesty would write it."
    x, y = (t.numpy() for t in p.data)
    scale = p.prior.scale.numpy()
    if "w" in p.prior.shapes and p.exact is not None:
        return lambda z: float(-0.5 * (((y - x @ (z * scale)) ** 2) / 0.09
                                       + math.log(2 * math.pi * 0.09)).sum())
    if "w" in p.prior.shapes:
        return lambda z: float(-np.logaddexp(0, -y * (x @ (z * scale))).sum())
    h, constant = p.prior.shapes["a"][0], len(y) * math.log(2 * math.pi * 0.04)

    def network(z):
        w = z * scale
        r = y - np.tanh(x[:, None] * w[:h] + w[h:2 * h]) @ w[2 * h:3 * h] - w[-1]
        return float(-0.5 * (r @ r / 0.04 + constant))
    return network


def logistic_truth(p: Problem, draws: int = 400_000) -> tuple[float, float]:
    """ln Z of a log-concave posterior: importance sampling from a Student law about its one mode,
    all in numpy."""
    x, y = (t.numpy() for t in p.data)
    loss = lambda w: np.logaddexp(0, -y * (x @ w)).sum() + 0.5 * w @ w
    slope = lambda w: w - x.T @ (y * expit(-y * (x @ w)))
    mode = minimize(loss, np.zeros(x.shape[1]), jac=slope, method="BFGS", options={"gtol": 1e-8}).x
    rate = expit(x @ mode)
    cov = np.linalg.inv(x.T @ (x * (rate * (1 - rate))[:, None]) + np.eye(len(mode)))
    q = multivariate_t(mode, 1.05 * cov, df=20, seed=np.random.default_rng(12345))
    w = q.rvs(draws)
    joint = -np.logaddexp(0, -y * (w @ x.T)).sum(1) - 0.5 * ((w * w).sum(1) + len(mode)
                                                             * math.log(2 * math.pi))
    ratio = joint - q.logpdf(w)
    top = ratio.max()
    share = np.exp(ratio - top)
    return float(top + np.log(share.mean())), float(share.std() / share.mean() / math.sqrt(draws))


def truth(p: Problem, name: str, particles: int) -> tuple[float, float]:
    """ln Z and its error: exact, by quadrature, by a Student law about the one mode, or by long
    tempering.

    The networks are tempered with their output layer integrated out, which leaves two numbers a
    unit.
    """
    if p.exact is not None:
        return p.exact, 0.0
    if name == "tanh 1":
        return grid_log_evidence(tanh_problem(1, integrated=True)), 0.0
    if name.startswith("logistic"):
        return logistic_truth(p)
    small = tanh_problem(*TANH[name], integrated=True)
    e = smc(small.log_likelihood, small.prior, generator=torch.Generator().manual_seed(12345),
            islands=32, particles=particles)
    return e.value, e.stderr
