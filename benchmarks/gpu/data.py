"What the sections fit: a cell of the size of mnist1d's, and scikit-learn's digits."
from dataclasses import replace

import torch
from sklearn.datasets import load_digits
from torch import Generator

from bstruct.model.graph import Graph
from bstruct.model.presets import dense
from bstruct.objectives.task import Task
from bstruct.search.settings import Settings

FEW = ("zero", "linear", "linear+relu", "linear+tanh")
QUICK = Settings(hidden=(16, 16), epochs=1, min_steps=4, starts=1, tempering=(1.0,), screened=4,
                 finalists=2, blocks=1, samples=4)


def cell(quick: bool, device: torch.device | str,
         dtype: torch.dtype = torch.float32) -> tuple[Graph, Task]:
    """The graph of mnist1d's 216 structures, 40 -> 64 -> 64 -> 10, and 4000 rows of drawn data of
    its shape.

    Rates depend on shapes alone. The package mnist1d is not needed.
    """
    n, width = (320, 16) if quick else (4000, 64)
    g = Generator().manual_seed(0)
    x = torch.randn(n, 40, generator=g)
    y = (x @ torch.randn(40, 10, generator=g)).argmax(1)
    return dense(40, 10, (width, width)), Task(x.to(device, dtype), y.to(device), "categorical")


def digits(quick: bool, device: torch.device | str, dtype: torch.dtype = torch.float32) -> Task:
    "All 1797 rows in random order, columns divided by 16."
    x, y = load_digits(return_X_y=True)
    order = torch.randperm(len(x), generator=Generator().manual_seed(0))[:240 if quick else len(x)]
    return Task((torch.tensor(x) / 16)[order].to(device, dtype), torch.tensor(y)[order].to(device),
                "categorical")


def digits_graph(quick: bool) -> Graph:
    "216 structures, 64 -> 64 -> 64 -> 10."
    return dense(64, 10, (16, 16) if quick else (64, 64))


def many(quick: bool) -> Graph:
    """4096 structures: three hidden vertices, each fed by all before it, four candidates an edge;
    64 if `quick`."""
    return dense(64, 10, (16, 16) if quick else (64, 64, 64), FEW)


def settings(quick: bool, **changed) -> Settings:
    "Those of the library, or tiny ones."
    return replace(QUICK if quick else Settings(), **changed)
