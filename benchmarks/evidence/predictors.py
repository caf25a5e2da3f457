"""Which predictor of classes? `python -m benchmarks.evidence.predictors [TABLE ...] [--seeds N]`.

The first four structures of a search by the race are fitted in two ways, with the same orders and
blocks: as tempered posteriors, which predicted before, and as ensembles of four plain fits, at a
quarter of the learning rate. Both are judged by the prequential evidence of what they predict. A
row has the log-loss on test rows, in nats, of what the search returned (`searched`), of the
tempered posteriors by its weights (`tempered`), of both by their own evidence (`tempered_judged`,
`ensemble`) with a constant and a logistic model beside them, of these two alone, and the evidence
of the best. Rows are written to results/predictors.json as they come, and are not run again.
"""
import argparse
import json
import time
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from sklearn.base import clone
from sklearn.datasets import load_digits, make_circles, make_classification
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split

from benchmarks.evidence.seeds import rows_of
from benchmarks.store import store
from bstruct import StructureClassifier
from bstruct.core.checkpoint import Checkpoint
from bstruct.objectives.likelihoods import LIKELIHOODS
from bstruct.objectives.task import Task
from bstruct.search.session import Session
from bstruct.search.stages.tempering import multiple_evidence
from bstruct.training.fits import block_log_p
from bstruct.use.estimators import _problem
from bstruct.use.predictor import ensemble, standardise

RESULTS = Path(__file__).parent / "results" / "predictors.json"
TABLES = ("iris", "moons", "noise_classes", "linear_classes", "wine", "digits-300", "circles",
          "informative", "breast_cancer", "digits")
STRENGTHS = (1e-3, 1e-2, 3e-2, 1e-1, 0.3, 1, 10)


def table(name: str) -> list[np.ndarray]:
    "Training columns, test columns, training target, test target."
    if name == "digits":
        X, y = load_digits(return_X_y=True)
        return train_test_split(X, y, random_state=0, stratify=y)
    if name == "circles":
        X, y = make_circles(1000, noise=0.2, factor=0.5, random_state=0)
        return [X[:200], X[200:], y[:200], y[200:]]
    if name == "linear_classes":
        g = np.random.default_rng(0)
        X = g.normal(size=(1200, 6))
        y = (g.random(1200) < 1 / (1 + np.exp(-X @ [2, -1.5, 1, 0, 0, 0]))).astype(int)
        return [X[:200], X[200:], y[:200], y[200:]]
    if name == "informative":
        X, y = make_classification(1400, 12, n_informative=6, n_classes=4,
                                   n_clusters_per_class=2, class_sep=1.2, random_state=0)
        return [X[:400], X[400:], y[:400], y[400:]]
    return rows_of(name, 0)


def logistic(x, y, new, target, K: int) -> np.ndarray:
    "ln p of new rows by logistic regressions of every strength."
    found = []
    for strength in STRENGTHS:
        model = LogisticRegression(C=strength, max_iter=300).fit(x, y)
        p = np.full((len(new), K), 1e-12)
        p[:, model.classes_] = model.predict_proba(new)
        found.append(np.log(p[np.arange(len(target)), target]))
    return np.stack(found)


def lse(a: np.ndarray, axis: int) -> np.ndarray:
    return np.logaddexp.reduce(a, axis=axis)


def soft(v) -> np.ndarray:
    w = np.exp(np.array(v) - np.max(v))
    return w / w.sum()


def mixed(models: np.ndarray, evidence: np.ndarray, beside: list[tuple[float, np.ndarray]]):
    "The density of test rows of a mixture by evidence; the structures share one part of three."
    w = soft([*(evidence - np.log(len(evidence))), *(e for e, _ in beside)])
    return w @ np.stack([*models, *(p for _, p in beside)])


def cell(name: str, seed: int) -> dict:
    "A row of the results."
    X, X2, y, y2 = table(name)
    begin = time.process_time()
    model = StructureClassifier(judge="prequential", random_state=seed).fit(X, y)
    cpu = time.process_time() - begin
    graph, task, settings, own, _ = _problem(clone(model), X, y)
    classes, code, n = len(model.classes_), np.searchsorted(model.classes_, y2), len(task)
    z = standardise(torch.tensor(X2), model.input_mean_, model.input_scale_).float()
    both = Task(torch.cat([task.x, z]), torch.cat([task.y, torch.tensor(code).to(task.y)]),
                task.likelihood)
    best = [r.structure for r in model.result_.ranking if r.name is None][:4]
    plan = replace(settings.fit_plan(n), starts=4)
    begin = time.process_time()
    blocks = block_log_p(graph, best, task, plan, 991).double().numpy()
    late = replace(plan, bounds=(n, n + len(code)))
    test = block_log_p(graph, best, both, late, 992).double().numpy()
    cpu_fits = time.process_time() - begin
    stops = (lse(blocks, 2) - np.log(4)).sum(-1)
    value = lse(stops, 1) - np.log(stops.shape[1])
    fits = (np.stack([soft(s) for s in stops])[:, :, None] * np.exp(test).mean(2)).sum(1)
    law = LIKELIHOODS[model.likelihood_]
    at = np.arange(len(code)), code
    posterior = np.stack([law.probabilities(m.outputs(z.double())).mean(0).numpy()[at]
                          for m in ensemble(model.result_, 32)])
    multiples = sorted({settings.c_reg * t for t in settings.tempering})
    told = np.array([max(e.value for e in multiple_evidence(
        Session(graph, task, settings, own, Checkpoint(None, "")), s, multiples))
        for s in model.result_.structures])
    ends, x, target = plan.bounds, task.x.numpy(), task.y.long().numpy()
    before = np.concatenate([logistic(x[:a], target[:a], x[a:b], target[a:b], classes)
                             for a, b in zip(ends, ends[1:])], 1).sum(1)
    line = soft(before) @ np.exp(logistic(x, target, z.numpy(), code, classes))
    share = lambda v: (np.bincount(v, minlength=classes) + 0.5) / (len(v) + 0.5 * classes)
    flat = sum(np.log(share(target[:a]))[target[a:b]].sum() for a, b in zip(ends, ends[1:]))
    beside = [(lse(before, 0) - np.log(len(before)), line), (flat, share(target)[code])]
    loss = lambda p: float(-np.log(np.clip(p, 1e-15, None)).mean())
    return {"table": name, "seed": seed, "cpu": cpu, "cpu_fits": cpu_fits,
            "searched": log_loss(y2, model.predict_proba(X2), labels=model.classes_),
            "tempered": loss(np.array(model.result_.probabilities) @ posterior),
            "tempered_judged": loss(mixed(posterior, told, beside)),
            "ensemble": loss(mixed(fits, value, beside)), "logistic": loss(line),
            "constant": loss(share(target)[code]), "evidence_tempered": float(told.max()),
            "evidence_ensemble": float(value.max()), "evidence_logistic": float(beside[0][0])}


def main() -> None:
    "Run what is missing."
    parser = argparse.ArgumentParser(prog="python -m benchmarks.evidence.predictors",
                                     description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables", nargs="*", help=", ".join(TABLES))
    parser.add_argument("--seeds", type=int, default=3)
    given = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    rows = json.loads(RESULTS.read_text())["rows"] if RESULTS.exists() else []
    done = {(r["table"], r["seed"]) for r in rows}
    for seed in range(given.seeds):
        for name in given.tables or TABLES:
            if (name, seed) not in done:
                rows.append(cell(name, seed))
                store(RESULTS, {"rows": rows})
                print(name, seed, {k: round(v, 4) for k, v in rows[-1].items() if k[0] in "ste"},
                      flush=True)


if __name__ == "__main__":
    main()
