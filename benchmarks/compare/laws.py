"""Twelve laws of six standard normal inputs; the signal has variance 1, the noise its own."""
import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

COLUMNS = 6


@dataclass(frozen=True)
class Law:
    """A signal of x [n, 6], standardised over many rows, and the deviation of its noise; `tails`:
    Student's t of 3."""
    signal: Callable[[Tensor], Tensor]
    noise: float = 0.4
    tails: bool = False


def friedman(x: Tensor) -> Tensor:
    u = 0.5 * (1 + torch.erf(x / math.sqrt(2)))
    bent = 10 * torch.sin(math.pi * u[:, 0] * u[:, 1]) + 20 * (u[:, 2] - 0.5) ** 2
    return bent + 10 * u[:, 3] + 5 * u[:, 4]


LAWS = {
    "nothing": Law(lambda x: 0 * x[:, 0], 1.0),
    "line": Law(lambda x: x[:, 0] - x[:, 1] + 0.5 * x[:, 2]),
    "noisy line": Law(lambda x: x.sum(1), 1.5),
    "bump": Law(lambda x: torch.tanh(2 * x[:, 0]) + 0.5 * x[:, 1]),
    "product": Law(lambda x: torch.sin(2 * x[:, 0]) * x[:, 1] + x[:, 2]),
    "bowl": Law(lambda x: x[:, 0] ** 2 - x[:, 1] ** 2 + x[:, 2]),
    "steps": Law(lambda x: (x[:, 0] > 0).to(x.dtype) + (x[:, 1] > 0.5).to(x.dtype)),
    "corner": Law(lambda x: 2.0 * ((x[:, 0] > 0) & (x[:, 1] > 0)).to(x.dtype) + 0.5 * x[:, 2]),
    "wave": Law(lambda x: torch.sin(4 * x[:, 0])),
    "nearly a line": Law(lambda x: x[:, 0] + x[:, 1] + 0.5 * torch.sin(3 * x[:, 2])),
    "friedman": Law(friedman),
    "heavy tails": Law(lambda x: torch.tanh(2 * x[:, 0]) + torch.sin(x[:, 1]), 0.3, tails=True),
}


def sample(name: str, rows: int, seed: int) -> tuple[Tensor, Tensor]:
    "So many rows of a law: x [n, 6] and y [n], float32."
    law, g = LAWS[name], torch.Generator().manual_seed(1000 * seed + 17 * list(LAWS).index(name))
    many = law.signal(torch.randn(20_000, COLUMNS, generator=torch.Generator().manual_seed(1)))
    scale = float(many.std()) or 1.0
    x = torch.randn(rows, COLUMNS, generator=g)
    noise = torch.randn(rows, generator=g)
    if law.tails:
        noise = noise / (torch.randn(3, rows, generator=g).square().mean(0)).sqrt()
    return x, (law.signal(x) - float(many.mean())) / scale + law.noise * noise
