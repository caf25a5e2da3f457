"Who takes part: every contestant is fitted by a function of the seed, and predicts the test rows."
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from sklearn.linear_model import BayesianRidge
from sklearn.neural_network import MLPClassifier, MLPRegressor
from torch import Generator

from benchmarks.search.data import Table
from bstruct.experiments.baselines import (
    Effort,
    Structure,
    darts,
    fit,
    gumbel_softmax,
    random_networks,
    random_search,
    tensors,
)
from bstruct.model.graph import Graph
from bstruct.use.estimators import StructureClassifier, StructureRegressor

BSTRUCT, PLAIN = "bstruct", "bstruct's structure, plain fit"


@dataclass(frozen=True)
class Fitted:
    """`predict()` on the test rows: probabilities, or mean and standard deviation; the structure
    where there is one; processor time of another process that did the fit."""

    predict: Callable[[], np.ndarray | tuple[np.ndarray, np.ndarray]]
    structure: Structure | None = None
    cpu_seconds: float | None = None


Contestants = dict[str, Callable[[int], Fitted]]  # the first is the reference of the CPU ratios


def chosen(graph: Graph, structure: Structure) -> Structure:
    "The structure on the edges that offer a choice."
    return {e: structure[e] for e in graph.choices}


def classifiers(table: Table, graph: Graph, effort: Effort, settings: dict) -> Contestants:
    "MLPClassifier first; `settings` go to bstruct, `effort` to the plain searches."
    (X, X_test), y = table.scaled, table.y[0]
    rows = tensors(X, y)

    def sklearns(seed: int) -> Fitted:
        model = MLPClassifier(random_state=seed).fit(X, y)
        return Fitted(lambda: model.predict_proba(X_test))

    def ours(seed: int) -> Fitted:
        model = StructureClassifier(random_state=seed, **settings).fit(table.raw[0], y)
        return Fitted(lambda: model.predict_proba(table.raw[1]), chosen(graph, model.structure_))

    def plain(search) -> Callable[[int], Fitted]:
        def run(seed: int) -> Fitted:
            network = search(graph, *rows, seed, effort)
            return Fitted(lambda: network.predict_proba(X_test), network.structure)
        return run

    def average(seed: int) -> Fitted:
        networks = random_networks(graph, *rows, seed, effort)
        return Fitted(lambda: np.mean([n.predict_proba(X_test) for n in networks], 0))

    count = f"{effort.structures} random"
    return {"MLPClassifier": sklearns, BSTRUCT: ours, f"best of {count}": plain(random_search),
            f"average of {count}": average, "DARTS": plain(darts),
            "Gumbel-Softmax": plain(gumbel_softmax)}


def plainly(table: Table, graph: Graph, effort: Effort, structure: Structure, seed: int) -> Fitted:
    "The structure fitted as the baselines fit theirs: what the choice alone is worth."
    network = fit(graph, structure, *tensors(table.scaled[0], table.y[0]),
                  Generator().manual_seed(seed), effort)
    return Fitted(lambda: network.predict_proba(table.scaled[1]), structure)


def regressors(table: Table, graph: Graph, effort: Effort, settings: dict) -> Contestants:
    """MLPRegressor first. Where a model has no standard deviation of its own, that of its residuals
    stands in.

    MLPRegressor: residuals of the training rows; random search: of the validation rows. Both get
    standardised targets.
    """
    (X, X_test), y = table.scaled, table.y[0]
    centre, scale = y.mean(), y.std()
    z = (y - centre) / scale
    rows = tensors(X, z)

    def mlp(seed: int) -> Fitted:
        model = MLPRegressor(random_state=seed).fit(X, z)
        spread = np.std(z - model.predict(X))
        return Fitted(lambda: spread_around(model.predict(X_test), spread))

    def spread_around(mean: np.ndarray, spread: float) -> tuple[np.ndarray, np.ndarray]:
        return centre + scale * mean, np.full(len(mean), scale * spread)

    def ridge(seed: int) -> Fitted:
        model = BayesianRidge().fit(X, y)
        return Fitted(lambda: model.predict(X_test, return_std=True))

    def ours(seed: int) -> Fitted:
        model = StructureRegressor(random_state=seed, **settings).fit(table.raw[0], y)
        return Fitted(lambda: model.predict(table.raw[1], return_std=True),
                      chosen(graph, model.structure_))

    def random(seed: int) -> Fitted:
        network = random_search(graph, *rows, seed, effort)
        return Fitted(lambda: spread_around(network.predict(X_test), network.loss**0.5),
                      network.structure)

    return {"MLPRegressor": mlp, BSTRUCT: ours, "BayesianRidge": ridge,
            f"best of {effort.structures} random": random}
