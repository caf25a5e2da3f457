"""Plain searches over the graph of the structure search: random, DARTS and Gumbel-Softmax.

Each chooses one candidate an edge; the network is then fitted with Adam and early stopping, without Bayes.
"""
import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Generator, Tensor
from torch.nn.functional import cross_entropy, mse_loss

from bstruct.model.graph import Graph
from bstruct.model.supernet import Supernet
from bstruct.model.reach import connected

Structure = dict[str, str]


@dataclass(frozen=True)
class Effort:
    "How hard the baselines try; one for all of them."

    structures: int = 10  # of the random search
    epochs: int = 200  # of one fit, at most
    patience: int = 15  # epochs without a better validation loss that end a fit
    validation: float = 0.15  # share of the rows that stops a fit
    search_epochs: int = 40  # of DARTS and of Gumbel-Softmax
    batch_size: int = 64
    learning_rate: float = 1e-2  # of the weights (Adam)
    structure_learning_rate: float = 2e-2  # of the logits of the structure (Adam)
    temperature: tuple[float, float] = (1.0, 0.1)  # of the Gumbel-Softmax, first and last


def random_structures(graph: Graph, count: int, generator: Generator) -> list[Structure]:
    "Different connected structures, uniformly at random; all there are if that is fewer."
    good = [s for s in graph.structures() if connected(graph, s)]
    return [good[i] for i in torch.randperm(len(good), generator=generator)[:count].tolist()]


def loss_of(output: Tensor, y: Tensor) -> Tensor:
    "Mean cross-entropy in nats for classes, mean squared error for numbers."
    return mse_loss(output[:, 0], y) if y.is_floating_point() else cross_entropy(output, y)


def tensors(X: np.ndarray, y: np.ndarray) -> tuple[Tensor, Tensor]:
    "Rows and targets as float32; classes as int64."
    y = torch.as_tensor(y)
    return torch.as_tensor(X, dtype=torch.float32), y.float() if y.is_floating_point() else y.long()


@dataclass
class Network:
    "One structure with its weights, its loss on the validation rows and the epochs that led to it."

    structure: Structure
    net: Supernet
    weights: dict[str, Tensor]
    loss: float
    epochs: int

    def outputs(self, X: np.ndarray) -> Tensor:
        with torch.no_grad():
            return self.net(self.weights, {}, torch.as_tensor(X, dtype=torch.float32))

    def predict_proba(self, X: np.ndarray) -> np.ndarray:
        return self.outputs(X).double().softmax(-1).numpy()

    def predict(self, X: np.ndarray) -> np.ndarray:
        return self.outputs(X)[:, 0].double().numpy()


def split(n: int, share: float, generator: Generator) -> tuple[Tensor, Tensor]:
    "Random rows for training and, `share` of them, for validation."
    order = torch.randperm(n, generator=generator)
    held = max(1, round(share * n))
    return order[held:], order[:held]


def fit(graph: Graph, structure: Structure, x: Tensor, y: Tensor, generator: Generator, effort: Effort) -> Network:
    "Adam on a part of the rows; the weights of the epoch with the best loss on the others."
    net = Supernet(graph.restrict(structure), share=True)
    weights = {k: v.requires_grad_() for k, v in net.init(generator).items()}
    train, held = split(len(x), effort.validation, generator)
    optimiser = torch.optim.Adam(weights.values(), lr=effort.learning_rate, fused=True)
    best = Network(structure, net, {}, math.inf, 0)
    for epoch in range(1, effort.epochs + 1):
        for rows in train[torch.randperm(len(train), generator=generator)].split(effort.batch_size):
            optimiser.zero_grad()
            loss_of(net(weights, {}, x[rows]), y[rows]).backward()
            optimiser.step()
        with torch.no_grad():
            loss = loss_of(net(weights, {}, x[held]), y[held]).item()
        if loss < best.loss or not best.weights:
            best = Network(structure, net, {k: v.detach().clone() for k, v in weights.items()}, loss, epoch)
        if epoch - best.epochs >= effort.patience:
            break
    return best


def random_networks(graph: Graph, x: Tensor, y: Tensor, seed: int, effort: Effort) -> list[Network]:
    "Some random structures, each fitted; one split for all of them."
    found = random_structures(graph, effort.structures, Generator().manual_seed(seed))
    return [fit(graph, s, x, y, Generator().manual_seed(seed), effort) for s in found]


def random_search(graph: Graph, x: Tensor, y: Tensor, seed: int, effort: Effort) -> Network:
    "The best of some random structures by validation loss."
    return min(random_networks(graph, x, y, seed, effort), key=lambda f: f.loss)


def relaxed_search(graph: Graph, x: Tensor, y: Tensor, seed: int, effort: Effort, mixture, bilevel: bool) -> Structure:
    """Adam on the weights of all candidates and on the logits of the structure; the best but zero of each edge.

    `mixture(logits, progress, generator)` gives the coefficients of the candidates. With `bilevel` the logits follow
    the loss of a second half of the rows, else that of the same minibatch.
    """
    generator = Generator().manual_seed(seed)
    net = Supernet(graph)
    weights = {k: v.requires_grad_() for k, v in net.init(generator).items()}
    logits = {e: torch.zeros(len(c), requires_grad=True) for e, c in graph.choices.items()}
    groups = [{"params": list(weights.values()), "lr": effort.learning_rate},
              {"params": list(logits.values()), "lr": effort.structure_learning_rate}]
    descent = [torch.optim.Adam([g], fused=True) for g in groups]
    train, held = split(len(x), 0.5, generator) if bilevel else (torch.arange(len(x)),) * 2

    def step(rows: Tensor, which, progress: float) -> None:
        "One step of some optimisers on these rows."
        for d in descent:
            d.zero_grad()
        gamma = {e: mixture(v, progress, generator) for e, v in logits.items()}
        loss_of(net(weights, gamma, x[rows]), y[rows]).backward()
        for d in which:
            d.step()

    for epoch in range(effort.search_epochs):
        shuffled = [part[torch.randperm(len(part), generator=generator)] for part in (train, held)]
        for rows, others in zip(*(part.split(effort.batch_size) for part in shuffled)):
            progress = epoch / effort.search_epochs
            if bilevel:
                step(others, descent[1:], progress)
                step(rows, descent[:1], progress)
            else:
                step(rows, descent, progress)
    return strongest(graph, logits)


def strongest(graph: Graph, logits: dict[str, Tensor]) -> Structure:
    "The candidate with the largest logit on each edge, zero excluded."
    value = lambda e, k, name: -math.inf if name == "zero" else logits[e][k].item()
    return {e: max(enumerate(names), key=lambda c: value(e, *c))[1] for e, names in graph.choices.items()}


def darts(graph: Graph, x: Tensor, y: Tensor, seed: int, effort: Effort) -> Network:
    "First-order DARTS (Liu et al. 2019): logits by the loss of held-out rows, weights fixed; argmax, then a new fit."
    mixture = lambda logits, progress, generator: logits.softmax(-1)
    structure = relaxed_search(graph, x, y, seed, effort, mixture, bilevel=True)
    return fit(graph, structure, x, y, Generator().manual_seed(seed), effort)


def gumbel_softmax(graph: Graph, x: Tensor, y: Tensor, seed: int, effort: Effort) -> Network:
    "Logits by gradients through relaxed samples (as in SNAS, Xie et al. 2019), falling temperature; then a new fit."
    first, last = effort.temperature

    def mixture(logits: Tensor, progress: float, generator: Generator) -> Tensor:
        noise = -torch.empty_like(logits).exponential_(generator=generator).log()
        return ((logits + noise) / (first * (last / first) ** progress)).softmax(-1)

    structure = relaxed_search(graph, x, y, seed, effort, mixture, bilevel=False)
    return fit(graph, structure, x, y, Generator().manual_seed(seed), effort)
