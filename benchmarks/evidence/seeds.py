"""Does the seed decide? `python -m benchmarks.evidence.seeds [--jobs N] [--seconds S]`.

Fifteen tables that need scikit-learn alone, each with one split of its rows; every judge fits the
same rows with every seed. `noises` and `lines` draw new rows with every seed instead: targets that
know nothing of the columns, and targets that are linear in them. Cells (table, judge, seed) are
worked off seed by seed, so that an interrupted run has seen all tables and judges alike; each is
written to results/seeds.json as it comes, and is not run again. No cell starts after S seconds.

Printed are, a row a table and a judge:
- score: R², or log-loss in nats, on the test rows: mean, worst and best over the seeds; beside it
  ridge or logistic regression, their penalty by cross-validation;
- error: log evidence of a structure, less its mean over seeds, within two stated errors: how often;
  and the deviation over seeds divided by the stated error;
- TV: total variation of the law of an edge between two seeds, mean over pairs and edges;
- P(constant), P(linear), where the judge has these models: the share of seeds with more than .8;
- CPU seconds of a fit.
Networks without a fit are left out of the rows; their part of the probability near a reference is
in `ties`. What short fits say is kept as it is, so that the laws of edges can be computed again
from the cells: places of the networks in `groups`, their `values`, and the `scatter` around their
model. `starts` of a row has what every start or order says.
"""
import argparse
import json
import math
import time
import warnings
from itertools import product
from pathlib import Path
from unittest.mock import patch

import numpy as np
import torch
from joblib import Parallel, delayed
from sklearn.datasets import load_digits, make_friedman1, make_moons
from sklearn.linear_model import LogisticRegressionCV, RidgeCV
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from benchmarks.store import store
from bstruct import StructureClassifier, StructureRegressor
from bstruct.core.about import about
from bstruct.experiments.collection import load_entry
from bstruct.experiments.seeds import markdown, summary
from bstruct.search.modes import judged, sifted
from bstruct.search.stages.support import LABELS, with_ties
from bstruct.search.stages.unfitted import scatter_of

RESULTS = Path(__file__).parent / "results" / "seeds.json"
NUMBERS = ("diabetes", "friedman1", "friedman2", "friedman3", "friedman1-100", "linear", "noise",
           "lines", "noises")
CLASSES = ("iris", "wine", "breast_cancer", "digits-300", "moons", "noise_classes")
JUDGES = ("auto", "prequential")
QUICK = {"hidden": (8,), "epochs": 2, "min_steps": 0, "screened": 2, "starts": 1, "finalists": 1}


def rows_of(name: str, seed: int) -> list[np.ndarray]:
    "Training columns, test columns, training target, test target."
    if name == "friedman1-100":
        X, y = make_friedman1(600, noise=1.0, random_state=0)
        return [X[:100], X[100:], y[:100], y[100:]]
    if name == "moons":
        X, y = make_moons(1000, noise=0.25, random_state=0)
        return [X[:200], X[200:], y[:200], y[200:]]
    if name == "digits-300":
        X, y = load_digits(return_X_y=True)
        return train_test_split(X, y, train_size=300, random_state=0, stratify=y)
    drawn = {"noises": "noise", "lines": "linear"}
    entry = load_entry(drawn.get(name, name), 1 + seed if name in drawn else 0)
    X, y = entry.X.to_numpy(float), entry.y.to_numpy()
    size = 200 if name.startswith("friedman") else round(0.75 * len(y))
    return train_test_split(X, y, train_size=size, random_state=0,
                            stratify=y if name in CLASSES else None)


def usual(name: str, X, X2, y, y2) -> float:
    "R² of ridge regression, or log-loss of logistic regression."
    if name in CLASSES:
        model = LogisticRegressionCV(cv=5, scoring="neg_log_loss", max_iter=1000)
        model = make_pipeline(StandardScaler(), model).fit(X, y)
        return float(log_loss(y2, model.predict_proba(X2), labels=np.unique(y)))
    ridge = make_pipeline(StandardScaler(), RidgeCV(np.logspace(-2, 4, 25))).fit(X, y)
    return float(ridge.score(X2, y2))


def cell(name: str, judge: str, seed: int, quick: bool = False) -> dict:
    "What a fit with this seed says."
    def watched(expected, starts, groups, values, *least):
        found = scatter_of(expected, starts, groups, values, *least)
        seen.append({"groups": groups, "values": values.tolist(), "scatter": found})
        return found

    X, X2, y, y2 = rows_of(name, seed)
    kind = StructureClassifier if name in CLASSES else StructureRegressor
    seen = []
    with (warnings.catch_warnings(), threadpool_limits(1),
          patch.object(judged, "scatter_of", watched),
          patch.object(sifted, "scatter_of", watched)):
        warnings.simplefilter("ignore")
        begin = time.process_time()
        model = kind(judge=judge, random_state=seed, **(QUICK if quick else {})).fit(X, y)
        cpu = time.process_time() - begin
        score = (float(log_loss(y2, model.predict_proba(X2), labels=model.classes_))
                 if name in CLASSES else float(model.score(X2, y2)))
        beside = usual(name, X, X2, y, y2)
    every = model.result_.ranking
    rows = [{"key": r.name or " ".join(map(str, r.structure.values())), "value": r.evidence.value,
             "error": r.evidence.stderr, "comparison": r.comparison,
             "probability": r.probability, "model": bool(r.name),
             "starts": r.evidence.diagnostics.get("starts")}
            for r in every if r.fitted is not False]
    return short({
        "table": name, "judge": judge, "seed": seed, "score": score, "usual": beside,
        "cpu": cpu, "rows": rows, "edges": model.structure_probabilities_,
        "ties": {v: with_ties(every, v) for v in LABELS.values()
                 if any(r.name == v for r in every)},
        "short": seen[0] if seen else None})


def short(thing):
    """The same with six digits of every number, which is more than a second run would repeat, and
    None where a number is not finite."""
    if isinstance(thing, dict):
        return {k: short(v) for k, v in thing.items()}
    if isinstance(thing, list | tuple):
        return [short(v) for v in thing]
    if not isinstance(thing, float):
        return thing
    return float(f"{thing:.6g}") if math.isfinite(thing) else None


def _timely(until: float, *given) -> dict | None:
    "The cell, or None after the end of the time."
    torch.set_num_threads(1)
    return cell(*given) if time.time() < until else None


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.evidence.seeds",
                                     description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--seconds", type=float, default=math.inf, help="no cell starts later")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--only", action="append", choices=NUMBERS + CLASSES, help="a table")
    parser.add_argument("--judge", action="append", choices=(*JUDGES, "laplace"))
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--quick", action="store_true", help="tiny fits, to see that it runs")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> None:
    "Run what is missing, and print the summary."
    given = parse(arguments)
    kept = (json.loads(given.out.read_text()) if given.out.exists()
            else {"machines": [], "cells": []})
    cells, machine = kept["cells"], about()
    if machine not in kept["machines"]:
        kept["machines"].append(machine)
    done = {(c["table"], c["judge"], c["seed"]) for c in cells}
    every = product(range(given.seeds), given.only or NUMBERS + CLASSES, given.judge or JUDGES)
    wanted = [(n, j, s) for s, n, j in every if (n, j, s) not in done]
    until = time.time() + given.seconds
    work = Parallel(given.jobs, return_as="generator_unordered", batch_size=1, pre_dispatch="all")
    for found in work(delayed(_timely)(until, *w, given.quick) for w in wanted):
        if found is not None:
            cells.append(found | {"machine": kept["machines"].index(machine)})
            store(given.out, kept, indent=None)
    print(markdown(summary(cells, ("lines", "noises"))))


if __name__ == "__main__":
    main()
