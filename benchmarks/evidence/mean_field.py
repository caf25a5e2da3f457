"""Variational bounds of the networks of `benchmarks.evidence.fits`: independent weights, one fixed
prior for all.

The prior is the law of the starts, N(0, 1 / inputs) for a weight and N(0, 1) for a bias. All
structures have the same start, rows and noise. The weights of the four layers are those of
`curvature.layers`.
"""
import math

import torch
from torch import Generator, Tensor

from benchmarks.evidence import fits
from benchmarks.evidence.curvature import layers
from benchmarks.evidence.fits import Weights


def divergences(loc: Weights, log_scale: Weights) -> Weights:
    "KL(q‖p) of each weight in nats."
    found = []
    for m, s in zip(loc, log_scale):
        precision = m.shape[1] if m.ndim == 3 else 1.0
        z = math.log(precision) + 2 * s
        found.append(0.5 * (torch.expm1(z) - z + precision * m.square()))
    return found


def bounds(first: str, x: Tensor, y: Tensor, seed: int, epochs: int, lr: float = 0.02,
           size: int = 128):
    """ln p of all rows at sampled weights in the last epoch [36], and the KL of the weights of
    each layer; in nats."""
    generator = Generator().manual_seed(seed)
    loc = fits.start(generator, x.shape[1], int(y.max()) + 1)
    scale = [torch.full_like(w, -4.0).requires_grad_() for w in loc]
    optimiser, fit = torch.optim.Adam([*loc, *scale], lr=lr, fused=True), None
    steps = math.ceil(len(x) / size) * epochs
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps, 0.01 * lr)
    for _ in range(epochs):
        fit = torch.zeros(len(loc[0]))
        for rows in torch.randperm(len(x), generator=generator).split(size):
            noise = [torch.randn(m.shape[1:], generator=generator) for m in loc]
            weights = [torch.addcmul(m, s.exp(), e) for m, s, e in zip(loc, scale, noise)]
            each = fits.log_p(weights, first, x[rows], y[rows]).mean(1)
            optimiser.zero_grad()
            (sum(k.sum() for k in divergences(loc, scale)) / len(x) - each.sum()).backward()
            optimiser.step()
            schedule.step()
            fit += each.detach() * len(rows)
    with torch.no_grad():
        return fit, layers(divergences(loc, scale))
