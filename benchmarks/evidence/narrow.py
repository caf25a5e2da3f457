"""Is it the correlation? `python -m benchmarks.evidence.narrow`: Laplace with the whole matrix, on
narrow networks.

A third of the structures of `benchmarks.evidence.selection` (those with relu or tanh on x -> h1)
with 8 hidden units, few enough weights for the dense Gauss-Newton matrix: Laplace's evidence with
its diagonal, with its blocks of weights into a unit, and with all of it, each at its own best prior
precisions, from one fit; beside the test log-loss of that fit. The matrix is estimated from one row
of eight. Writes narrow.json into results/; about forty CPU seconds.
"""
import json
from pathlib import Path

import torch
from torch import Generator, Tensor
from torch.func import jacrev, vmap

from benchmarks.evidence import fits
from benchmarks.evidence.curvature import blocks, complexity, diagonals, layers
from benchmarks.evidence.fits import Weights
from benchmarks.evidence.truth import rows

PATH = Path(__file__).parent / "results" / "narrow.json"
FIRSTS = "linear+relu", "linear+tanh"
WIDTH, EPOCHS, RATE, SIZE, THIN, SEED = 8, 40, 3e-3, 64, 8, 1000


def fitted(first: str, x: Tensor, y: Tensor) -> Weights:
    "The weights of the 36 structures after the last epoch of Adam."
    generator = Generator().manual_seed(SEED)
    weights = fits.start(generator, x.shape[1], int(y.max()) + 1, WIDTH)
    optimiser = torch.optim.Adam(weights, lr=RATE, fused=True)
    for _ in range(EPOCHS):
        for some in torch.randperm(len(x), generator=generator).split(SIZE):
            optimiser.zero_grad()
            (-fits.log_p(weights, first, x[some], y[some]).mean(1).sum()).backward()
            optimiser.step()
    return [w.detach() for w in weights]


def output(own: Weights, names: tuple[str, str, str], row: Tensor) -> Tensor:
    "Outputs of one structure for one row; names on x->h1, x->h2, h1->h2."
    w1, b1, w2, b2, w3, b3 = own
    below, side, above = (fits.ACTIVATIONS[n] for n in names)
    z = row @ w1 + b1
    return (side(z[WIDTH:]) + above(below(z[:WIDTH]) @ w2 + b2)) @ w3 + b3


def jacobian(weights: Weights, i: int, first: str, x: Tensor) -> tuple[Tensor, Tensor]:
    """d outputs / d weights [n, outputs, d] of structure i, tensor after tensor, and its class
    probabilities."""
    own, known = [w[i] for w in weights], list(fits.ACTIVATIONS)
    f = lambda ws, row: output(ws, (first, known[i // 6], known[i % 6]), row)
    found = vmap(jacrev(f), in_dims=(None, 0))(own, x)
    return torch.cat([v.flatten(2) for v in found],
                     2), vmap(f, in_dims=(None, 0))(own, x).softmax(-1)


def matrix(weights: Weights, i: int, first: str, x: Tensor) -> Tensor:
    "The Gauss-Newton matrix of structure i [d, d]."
    j, p = jacobian(weights, i, first, x)
    # H = sum of outer products
    roots = p.sqrt()[..., None] * (j - (p[..., None] * j).sum(1, keepdim=True))
    return roots.flatten(0, 1).T @ roots.flatten(0, 1)


def groups(weights: Weights) -> Tensor:
    "The layer of each weight, in the order of `jacobian`."
    w1, _, w2, b2, w3, b3 = weights
    half = torch.cat([torch.zeros(WIDTH), torch.ones(WIDTH)]).long()
    parts = [half.expand(w1.shape[1], -1), half, torch.full(w2.shape[1:], 2),
             torch.full(b2.shape[1:], 2), torch.full(w3.shape[1:], 3), torch.full(b3.shape[1:], 3)]
    return torch.cat([p.flatten() for p in parts])


def whole(m: Tensor, w: Tensor, layer: Tensor, rounds: int = 10) -> float:
    """The complexity with the whole matrix, in nats; weights without curvature keep their prior
    and cost nothing."""
    on = m.diagonal() > 0
    m, w, layer = m[on][:, on].double(), w[on].double(), layer[on]
    tau = torch.ones(4, dtype=m.dtype)
    squares = torch.zeros_like(tau).index_add(0, layer, w.square()).clamp_min(1e-12)
    for _ in range(rounds):
        inverse = torch.cholesky_inverse(torch.linalg.cholesky(m + tau[layer].diag())).diagonal()
        tau = (torch.zeros_like(tau).index_add(0, layer, 1 - tau[layer] * inverse)
               / squares).clamp(1e-6, 1e9)
    scaled = m / (tau[layer].sqrt()[:, None] * tau[layer].sqrt())
    return float(0.5 * (tau * squares).sum() + 0.5
                 * torch.logdet(scaled + torch.eye(len(m), dtype=m.dtype)))


def parts(weights: Weights, first: str, x: Tensor) -> dict[str, list[float]]:
    "Complexity of the 36 structures in nats, by what is kept of the matrix."
    diagonal, unit, layer = diagonals(weights, first, x), blocks(weights, first, x), groups(weights)
    found = {"diagonal": 0.0, "unit blocks": 0.0}
    for w, d, b in zip(layers(weights), diagonal, unit):
        live = (w.square() * (d > 0)).flatten(1).sum(1)
        found["diagonal"] = found["diagonal"] + complexity(THIN * d.flatten(1), live)
        found["unit blocks"] += complexity(
            THIN * torch.linalg.eigvalsh(b).clamp_min(0.0).flatten(1), live)
    flat = torch.cat([w.flatten(1) for w in weights], 1)
    dense = [whole(THIN * matrix(weights, i, first, x), flat[i], layer) for i in range(36)]
    return {k: v.tolist() for k, v in found.items()} | {"whole": dense}


def measure() -> dict:
    """Fit, test log-loss, numbers of weights that the data feel, and complexities, of these
    structures."""
    x, y, new, target = rows()
    found: dict[str, list[float]] = {}
    for first in FIRSTS:
        weights = fitted(first, x, y)
        felt = sum((d > 0).flatten(1).sum(1) for d in diagonals(weights, first, x[::THIN]))
        own = {"fit": fits.log_p(weights, first, x, y).sum(1).tolist(), "weights": felt.tolist(),
               "test": (-fits.log_p(weights, first, new, target).mean(1)).tolist(),
               **parts(weights, first, x[::THIN])}
        for k, v in own.items():
            found.setdefault(k, []).extend(round(n, 4) for n in v)
    return found


def main() -> None:
    torch.set_num_threads(1)
    PATH.write_text(json.dumps({"width": WIDTH, **measure()}) + "\n")


if __name__ == "__main__":
    main()
