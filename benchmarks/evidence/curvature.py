"""Laplace evidence of the networks of `benchmarks.evidence.fits`, with part of the Gauss-Newton
matrix.

The matrix of a categorical likelihood is the sum over rows n of J' H J, H = diag(p) - pp'. For the
weights into one unit j of a layer with inputs a it is exactly sum_n s_nj a_n a_n', where s_nj is
how much the unit's input bends ln p of row n. So all diagonals, and all blocks of weights into one
unit, come from two factors a layer: a and s.
"""
from collections.abc import Iterator

import torch
from torch import Tensor

from benchmarks.evidence import fits
from benchmarks.evidence.fits import ACTIVATIONS, Weights

SLOPES = {"zero": torch.zeros_like, "linear": torch.ones_like,
          "linear+relu": lambda z: (z > 0).to(z.dtype),
          "linear+tanh": lambda z: 1 - z.tanh().square(), "linear+sin": torch.cos,
          "linear+silu": lambda z: z.sigmoid() * (1 + z * (1 - z.sigmoid()))}
THIN = 4  # blocks are estimated from one row of so many
PARTS = ("diagonal", "unit blocks")
Factors = tuple[Tensor, Tensor]


def slopes(z: Tensor, axis: int) -> Tensor:
    """The derivative of each of the six activations on its part of [36, n, units], the batch being
    a 6 x 6 grid."""
    parts = z.view(6, 6, *z.shape[1:]).unbind(axis)
    return torch.stack([SLOPES[name](p) for name, p in zip(ACTIVATIONS, parts)], axis).view(z.shape)


def bend_below(p: Tensor, slope: Tensor, w2: Tensor, w3: Tensor) -> Tensor:
    """v'(diag(p) - pp')v for the units of h1, [36, n, units]; v is how the outputs move with a
    unit, class by class."""
    squares, means = torch.zeros_like(slope), torch.zeros_like(slope)
    for k in range(p.shape[-1]):
        v = (slope * w3[:, None, :, k]) @ w2.mT
        pv = v * p[..., k, None]
        squares, means = squares.addcmul_(pv, v), means.add_(pv)
    return squares - means.square_()


def factors(weights: Weights, first: str, x: Tensor) -> list[Factors]:
    """Inputs with a one [36, n, i + 1] and bends [36, n, units] of the layers x->h1, x->h2, h1->h2
    and h2->y."""
    w1, b1, w2, b2, w3, b3 = weights
    width, one = b2.shape[1], torch.ones(len(w1), len(x), 1, dtype=x.dtype)
    z = torch.baddbmm(b1[:, None], x.expand(len(w1), *x.shape), w1)
    low, side = z[..., :width].contiguous(), z[..., width:].contiguous()
    h1 = ACTIVATIONS[first](low)
    u = torch.baddbmm(b2[:, None], h1, w2)
    h2 = fits.spread(side, 0) + fits.spread(u, 1)
    p = torch.baddbmm(b3[:, None], h2, w3).softmax(-1)
    slope, at_h2 = slopes(u, 1), p @ w3.mT.square() - (p @ w3.mT).square()
    at_h1 = bend_below(p, slope, w2, w3)
    inputs = [torch.cat([a.expand(len(w1), *a.shape[-2:]), one], -1) for a in (x, x, h1, h2)]
    bends = [at_h1 * SLOPES[first](low).square(), at_h2 * slopes(side, 0).square(),
             at_h2 * slope.square(), p - p * p]
    return list(zip(inputs, bends))


def layers(weights: Weights) -> list[Tensor]:
    "The weights of the four layers, biases in the last row: [36, i + 1, units]."
    w1, b1, w2, b2, w3, b3 = weights
    width = b2.shape[1]
    pairs = (w1[..., :width], b1[:, :width]), (w1[..., width:], b1[:, width:]), (w2, b2), (w3, b3)
    return [torch.cat([w, b[:, None]], 1) for w, b in pairs]


def chunks(weights: Weights, first: str, x: Tensor, size: int = 250) -> Iterator[list[Factors]]:
    for rows in x.split(size):
        yield factors(weights, first, rows)


def diagonals(weights: Weights, first: str, x: Tensor) -> list[Tensor]:
    "The exact Gauss-Newton diagonal of each layer, [36, i + 1, units]."
    return [sum(parts) for parts in zip(
        *([a.square().mT @ s for a, s in part] for part in chunks(weights, first, x)))]


def blocks(weights: Weights, first: str, x: Tensor) -> list[Tensor]:
    "The exact Gauss-Newton block of the weights into each unit, [36, units, i + 1, i + 1]."
    found = [torch.zeros(len(w), w.shape[2], w.shape[1], w.shape[1], dtype=x.dtype)
             for w in layers(weights)]
    for part in chunks(weights, first, x):
        for total, (a, s) in zip(found, part):
            for own, rows, bent in zip(total, a, s):
                scaled = rows[:, None] * bent[..., None]
                own.add_((rows.T @ scaled.flatten(1)).view(
                    rows.shape[1], *scaled.shape[1:]).transpose(0, 1))
    return found


def complexity(spectrum: Tensor, squares: Tensor, rounds: int = 50) -> Tensor:
    """tau |w|²/2 + ½ sum ln(1 + lambda / tau), in nats, at the prior precision tau that the
    evidence prefers.

    `spectrum` [b, d] holds the eigenvalues, `squares` [b] the squared length of the weights.
    MacKay's fixed point.
    """
    tau, squares = torch.ones(len(spectrum), 1, dtype=spectrum.dtype), squares[:, None].clamp_min(
        1e-12)
    for _ in range(rounds):
        tau = ((spectrum / (spectrum + tau)).sum(1, keepdim=True) / squares).clamp(1e-6, 1e9)
    return 0.5 * (tau * squares)[:, 0] + 0.5 * torch.log1p(spectrum / tau).sum(1)


def eigenvalues(matrices: Tensor) -> Tensor:
    """Of symmetric matrices [..., d, d]; in double precision where single precision does not
    converge."""
    try:
        return torch.linalg.eigvalsh(matrices)
    except torch.linalg.LinAlgError:  # many repeated eigenvalues, on some processors
        return torch.linalg.eigvalsh(matrices.double()).to(matrices.dtype)


def complexities(weights: Weights, first: str, x: Tensor, part: str) -> Tensor:
    """What Laplace's evidence subtracts from the log-likelihood, in nats [36], with one prior
    precision a layer."""
    diagonal, total = diagonals(weights, first, x), 0.0
    spectra = diagonal
    if part == "unit blocks":
        spectra = [eigenvalues(THIN * m).clamp_min(0.0) for m in blocks(weights, first, x[::THIN])]
    for w, d, s in zip(layers(weights), diagonal, spectra):
        # what the data do not feel keeps its prior and costs nothing
        live = (w.square() * (d > 0)).flatten(1).sum(1)
        total = total + complexity(s.flatten(1), live)
    return total
