"""Plain fits of the 216 structures x -> h1 -> h2 -> y with a skip edge, six candidates an edge, as
one batch.

The graph is `dense(inputs, outputs, (64, 64))`, its structures in the order of
`Graph.structures()`; a test compares the outputs with the supernet's. Written out here, without
vmap, since each edge then computes each activation once.
"""
import math
from collections.abc import Iterator

import torch
from torch import Generator, Tensor
from torch.nn.functional import cross_entropy, silu

ACTIVATIONS = {"zero": torch.zeros_like, "linear": torch.clone, "linear+relu": torch.relu,
               "linear+tanh": torch.tanh, "linear+silu": silu, "linear+sin": torch.sin}
GAINS = torch.tensor([1.0, 1.0, math.sqrt(2), 1.0, math.sqrt(2), 1.0]).mean()
Weights = list[Tensor]


def start(generator: Generator, inputs: int, outputs: int, width: int = 64,
          batch: int = 36) -> Weights:
    """Weights of one structure drawn as the supernet does, the same for the whole batch: [batch,
    in, out] and biases."""
    draw = lambda i, o, gain: torch.randn(i, o, generator=generator) * (gain / math.sqrt(i))
    weights = [draw(inputs, 2 * width, GAINS), torch.zeros(2 * width), draw(width, width, GAINS),
               torch.zeros(width), draw(width, outputs, 1.0), torch.zeros(outputs)]
    return [w.expand(batch, *w.shape).clone().requires_grad_() for w in weights]


def spread(z: Tensor, axis: int) -> Tensor:
    "Each of the six activations on its part of [36, n, units], the batch being a 6 x 6 grid."
    parts = z.view(6, 6, *z.shape[1:]).unbind(axis)
    return torch.stack([f(p) for f, p in zip(ACTIVATIONS.values(), parts)], axis).view(z.shape)


def outputs(weights: Weights, first: str, x: Tensor) -> Tensor:
    "[36, n, outputs] of the structures with candidate `first` on x -> h1."
    w1, b1, w2, b2, w3, b3 = weights
    width = b2.shape[1]
    z = torch.baddbmm(b1[:, None], x.expand(len(w1), *x.shape), w1)
    h1 = ACTIVATIONS[first](z[..., :width])
    h2 = spread(z[..., width:].contiguous(), 0) + spread(torch.baddbmm(b2[:, None], h1, w2), 1)
    return torch.baddbmm(b3[:, None], h2, w3)


def log_p(weights: Weights, first: str, x: Tensor, y: Tensor) -> Tensor:
    "ln p of each row in nats, [36, n]."
    return outputs(weights, first, x).log_softmax(-1).gather(
        -1, y.expand(len(weights[0]), -1)[..., None])[..., 0]


def epochs(first: str, x: Tensor, y: Tensor, seed: int, count: int, lr: float,
           size: int) -> Iterator[Weights]:
    """The weights after each epoch of Adam; start and order of the rows are the same for all
    structures."""
    generator = Generator().manual_seed(seed)
    weights = start(generator, x.shape[1], int(y.max()) + 1)
    optimiser = torch.optim.Adam(weights, lr=lr, fused=True)
    for _ in range(count):
        for rows in torch.randperm(len(x), generator=generator).split(size):
            optimiser.zero_grad()
            out = outputs(weights, first, x[rows])
            (cross_entropy(out.flatten(0, 1), y[rows].repeat(len(out)), reduction="sum")
             / len(rows)).backward()
            optimiser.step()
        yield [w.detach() for w in weights]
