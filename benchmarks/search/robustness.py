"""What noise and pruning cost: `python -m benchmarks.search.robustness [--data ...] [--seeds N]
[--quick]`.

Three networks a seed: bstruct as it predicts (averaged over weights and structures), one network of
it (the means of one posterior of the best structure), and a plain fit of that structure (Adam,
early stopping, the best epoch). Each is tried on test inputs with noise (its deviation in units of
that of all inputs), with noise of a given deviation on every weight, and after a share of all
weights is set to zero: by the relative density ρ (bstruct; the largest first), by magnitude
(plain), or at random (plain). The same noise hits all.

digits and mnist1d: the dense graph of 216 structures. signals: mnist1d as signals, with the
structure of convolutions that bstruct found for the same seed in results/tasks.json; only its
weights are fitted here.

Prints a table, writes results/robustness.json; a run that was stopped goes on from its journal and
from that file (--fresh: from nothing).
"""
import argparse
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from sklearn.metrics import accuracy_score, log_loss
from threadpoolctl import threadpool_limits
from torch import Generator, Tensor

from benchmarks.search import data
from benchmarks.search.__main__ import QUICK, RESULTS
from benchmarks.search.show import plot_robustness, print_columns
from benchmarks.search.tasks import graph_of
from bstruct.experiments.baselines import Effort, Network, fit, tensors
from bstruct.experiments.study import about, read_study, summarise, visit, write_study
from bstruct.objectives.complexity import log_relative_density
from bstruct.search.result import Result
from bstruct.training.batch import Batch
from bstruct.use.estimators import StructureClassifier
from bstruct.use.predictor import ensemble, predictive

TABLES = ("digits", "mnist1d", "signals")
LEVELS = {"data noise": (0.0, 0.25, 0.5, 0.75, 1.0), "weight noise": (0.0, 0.05, 0.1, 0.2, 0.3),
          "removed": (0.0, 0.2, 0.4, 0.6, 0.8, 0.9)}
OURS, MEANS, PLAIN, RANDOM = "bstruct", "bstruct, one network", "plain", "plain, at random"


def first(order: Tensor, share: float) -> Tensor:
    """True for the `share` of the entries of each row [M, P] that are to go: those with the
    smallest `order`."""
    gone, count = torch.zeros_like(order, dtype=torch.bool), round(share * order.shape[-1])
    return gone.scatter(-1, order.argsort(-1)[..., :count], True)


def noisy(batch: Batch, level: float, generator: Generator) -> Batch:
    "The posterior with its means moved by noise of this deviation."
    loc = batch.params["loc"]
    return replace(batch, params=batch.params
                   | {"loc": loc + level * torch.randn(loc.shape, generator=generator)})


def pruned(batch: Batch, share: float) -> Batch:
    "The posterior without this share of its weights: those of largest ρ are zero, with certainty."
    p = batch.params
    gone = first(-log_relative_density(p["loc"], p["log_scale"]), share)
    return replace(batch, params=p | {"loc": p["loc"].masked_fill(gone, 0.0),
                                      "log_scale": p["log_scale"].masked_fill(gone, -torch.inf)})


def narrowed(batch: Batch) -> Batch:
    "The first posterior of a batch alone."
    structure = batch.structure and {e: g[:1] for e, g in batch.structure.items()}
    return Batch(batch.net, {k: v[:1] for k, v in batch.params.items()}, structure, batch.sizes[:1],
                 batch.c_reg[:1])


def certain(batch: Batch) -> Batch:
    "The means as weights, without spread."
    return replace(batch, params=batch.params
                   | {"log_scale": torch.full_like(batch.params["log_scale"], -torch.inf)})


def bayes(model: StructureClassifier, change: Callable[[Batch], Batch], one: bool,
          X: np.ndarray) -> np.ndarray:
    """Predictions of the model with changed posteriors; of `one` network, those at the means of a
    single posterior."""
    found: Result = model.result_
    if one:
        best = int(np.argmax(found.probabilities))
        found = replace(found, structures=[found.structures[best]], probabilities=[1.0],
                        batches=[certain(change(narrowed(found.batches[best])))])
    else:
        found = replace(found, batches=[change(b) for b in found.batches])
    members = ensemble(found, 1 if one else model.samples)
    return predictive(model, members, torch.as_tensor(X)).numpy()


def plain(network: Network, change: Callable[[Tensor], Tensor], scale: Callable,
          X: np.ndarray) -> np.ndarray:
    "Predictions of a plain network with changed weights [1, P]."
    flat = change(torch.cat([v.flatten() for v in network.weights.values()])[None])[0]
    parts = flat.split([v.numel() for v in network.weights.values()])
    weights = {k: part.reshape(v.shape) for (k, v), part in zip(network.weights.items(), parts)}
    return replace(network, weights=weights).predict_proba(scale(X))


def trials(model: StructureClassifier, network: Network, scale: Callable, X: np.ndarray,
           spread: float, seed: int):
    "Yields (what, level, method, probabilities)."
    source = lambda i: Generator().manual_seed(1000 * seed + i)
    same = lambda v: v
    for i, level in enumerate(LEVELS["data noise"]):
        noise = np.random.default_rng((seed, i)).normal(size=X.shape)
        moved = X + level * spread * noise
        yield "data noise", level, OURS, bayes(model, same, False, moved)
        yield "data noise", level, MEANS, bayes(model, same, True, moved)
        yield "data noise", level, PLAIN, plain(network, same, scale, moved)
    for i, level in enumerate(LEVELS["weight noise"]):
        hit = lambda b, i=i, level=level: noisy(b, level, source(i))
        yield "weight noise", level, OURS, bayes(model, hit, False, X)
        yield "weight noise", level, MEANS, bayes(model, hit, True, X)
        shaken = lambda w, i=i, level=level: w + level * torch.randn(w.shape, generator=source(i))
        yield "weight noise", level, PLAIN, plain(network, shaken, scale, X)
    for i, share in enumerate(LEVELS["removed"]):
        cut = lambda b, share=share: pruned(b, share)
        yield "removed", share, OURS, bayes(model, cut, False, X)
        yield "removed", share, MEANS, bayes(model, cut, True, X)
        small = lambda w, share=share: w.masked_fill(first(w.abs(), share), 0.0)
        yield "removed", share, PLAIN, plain(network, small, scale, X)
        any_ = lambda w, i=i, share=share: w.masked_fill(
            first(torch.rand(w.shape, generator=source(i)), share), 0)
        yield "removed", share, RANDOM, plain(network, any_, scale, X)


def found_before(seed: int, graph) -> dict:
    "The structure of convolutions that bstruct found for this seed."
    path = RESULTS / "tasks.json"
    rows = json.loads(path.read_text())["rows"] if path.exists() else []
    picks = [r["structure"] for r in rows if (r["data"], r["method"], r["seed"])
             == ("signals", "bstruct", seed)]
    if not picks:
        raise SystemExit(f"results/tasks.json has no structure for seed {seed}: first run "
                         "`python -m benchmarks.search.tasks --data signals --methods bstruct`")
    return next(s for s in graph.structures() if all(s[e] == picks[0][e] for e in graph.choices))


def measured(name: str, seed: int, quick: bool) -> list[dict]:
    "All rows of one table and seed."
    table = data.load("mnist1d" if name == "signals" else name)
    table = table.head(150, 100) if quick else table
    graph = graph_of(name, table, quick)
    settings = {k: v for k, v in QUICK.items() if k != "hidden"} if quick else {}
    if name == "signals":
        graph = graph.restrict(next(iter(graph.structures())) if quick
                               else found_before(seed, graph))
    (X, X_test), (y, y_test) = table.raw, table.y
    model = StructureClassifier(graph=graph, random_state=seed, **settings).fit(X, y)
    centre, width = (0.0, 16.0) if name == "digits" else (X.mean(0), X.std(0))
    scale = lambda rows: (rows - centre) / width
    effort = Effort(epochs=2) if quick else Effort()
    structure = {e: model.structure_[e] for e in graph.choices}
    network = fit(graph, structure, *tensors(scale(X), y), Generator().manual_seed(seed), effort)
    labels = np.arange(table.outputs)
    print(f"{name}, seed {seed}: done", flush=True)
    return [{"what": what, "level": level, "method": method,
             "accuracy": float(accuracy_score(y_test, p.argmax(1))),
             "log_loss": float(log_loss(y_test, p.clip(1e-12), labels=labels))}
            for what, level, method, p in trials(model, network, scale, X_test, float(X.std()),
                                                 seed)]


def report(rows: list[dict]) -> None:
    "Mean accuracies over the seeds."
    for name, found in summarise(rows, ("data", "what", "method", "level"), ["accuracy"]).items():
        for what, methods in found.items():
            seeds = {r["seed"] for r in rows if (r["data"], r["what"]) == (name, what)}
            print(f"\n{name}, {what}, {len(seeds)} seeds")
            lines = [[m, *(f"{at[v]['accuracy'][0]:.3f}" for v in LEVELS[what])]
                     for m, at in methods.items()]
            print_columns(["", *map(str, LEVELS[what])], lines)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.search.robustness",
                                     description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", nargs="+", choices=TABLES, default=list(TABLES),
                        help="tables (all)")
    parser.add_argument("--seeds", type=int, default=5, help="seeds 0, 1, ... (5)")
    parser.add_argument("--fresh", action="store_true", help="forget what is stored")
    parser.add_argument("--quick", action="store_true",
                        help="few rows, tiny networks: does it run?")
    parser.add_argument("--out", type=Path, help="folder for the results")
    asked = parser.parse_args(arguments)
    if asked.seeds < 1:
        parser.error(f"--seeds is {asked.seeds}: at least 1 is needed")
    out = asked.out or (None if asked.quick else RESULTS)
    path, journal = out and out / "robustness.json", out and out / "robustness.journal"
    if journal and asked.fresh:
        journal.unlink(missing_ok=True)
    done = read_study(path).rows if path and path.exists() and not asked.fresh else []
    cells = [{"data": name, "seed": seed} for seed in range(asked.seeds) for name in asked.data]
    torch.set_num_threads(1)
    with threadpool_limits(1):
        work = lambda cell: measured(cell["data"], cell["seed"], asked.quick)
        rows = list(visit(cells, work, journal=journal, plan={"quick": asked.quick}, done=done))
    report(rows)
    if path:
        write_study(path, rows, about(), by=("data", "what", "method", "level"), journal=journal,
                    quick=asked.quick)
        plot_robustness(rows, out / "robustness.png")


if __name__ == "__main__":
    main()
