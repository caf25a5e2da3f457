"""Real tasks: `python -m benchmarks.search.tasks [--data ...] [--methods ...] [--seeds N]
[--quick]`.

Tables: digits, mnist1d, the tabular sets of scikit-learn (wine, breast_cancer, iris, diabetes), and
`signals`: mnist1d with a graph of convolutions (600 structures). Methods: scikit-learn's default
network (the reference), bstruct with its defaults, the best of 10 random structures of the same
graph, Optuna's TPE with a median pruner over a torch network, FLAML; on `signals`, instead of the
last two, DARTS, Gumbel-Softmax and one structure set by hand. (Those two on digits and mnist1d are
in `python -m benchmarks.search`.)

digits and mnist1d have one test set (25 %, random_state 0; the package's own); the small tables are
split anew for every seed. One process, one thread. CPU is the process time of a fit divided by that
of one default MLPClassifier (MLPRegressor) fit on the same rows, timed just before it. FLAML stops
by wall clock (--flaml-seconds), so it gets less of a busy machine.

Every result is kept in results/tasks.journal as soon as it is there, goes to results/tasks.json at
the end, and is not computed again (--fresh: forget them); a run that was stopped or killed goes on.
One seed of everything takes about ten CPU minutes. Optuna and FLAML come with --install.
"""
import argparse
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier, MLPRegressor
from threadpoolctl import threadpool_limits
from torch import Generator

from benchmarks.search import data, tuned
from benchmarks.search.__main__ import QUICK, RESULTS, Split, scored, shown
from benchmarks.search.contestants import Fitted, classifiers, regressors
from benchmarks.search.show import print_columns
from bstruct.experiments.baselines import Effort, fit, tensors
from bstruct.experiments.study import plot_scores, read_study, study, summarise
from bstruct.model.graph import Graph
from bstruct.model.presets import convolutional, dense
from bstruct.use.estimators import StructureClassifier

TABLES = ("digits", "mnist1d", "signals", "wine", "breast_cancer", "iris", "diabetes")
BY_HAND = {"x->h1": "conv1d+relu:5", "h1->h2": "conv1d+relu:3", "x->h2": "zero",
           "h2->h3": "conv1d+relu:3",
           # the plain stack of three convolutions that the authors of mnist1d use
           "h1->h3": "zero"}
REFERENCE, OURS, RANDOM, TPE, FLAML, HAND = ("scikit-learn", "bstruct", "random", "Optuna", "FLAML",
                                             "by hand")
GRADIENT = ("DARTS", "Gumbel-Softmax")
METHODS = (REFERENCE, OURS, RANDOM, *GRADIENT, TPE, FLAML, HAND)


def table_of(name: str, seed: int) -> data.Table:
    "The rows; small tables are split by the seed."
    if name in ("digits", "mnist1d", "signals"):
        return data.load("mnist1d" if name == "signals" else name)
    return data.load(name, seed)


def graph_of(name: str, table: data.Table, quick: bool) -> Graph:
    "The graph that bstruct and the random search work on."
    columns = table.raw[0].shape[1]
    if name == "signals":
        return convolutional((1, columns), table.outputs, (8, 8, 8) if quick else (32, 32, 32))
    return dense(columns, table.outputs, QUICK["hidden"] if quick else (64, 64))


def on_signals(table: data.Table, graph: Graph, effort: Effort,
               settings: dict) -> dict[str, Callable[[int], Fitted]]:
    "bstruct and a structure set by hand on the graph of convolutions."
    def ours(seed: int) -> Fitted:
        model = StructureClassifier(graph=graph, random_state=seed,
                                    **settings).fit(table.raw[0], table.y[0])
        return Fitted(lambda: model.predict_proba(table.raw[1]),
                      {e: model.structure_[e] for e in graph.choices})

    def by_hand(seed: int) -> Fitted:
        rows = tensors(table.scaled[0], table.y[0])
        found = fit(graph, BY_HAND, *rows, Generator().manual_seed(seed), effort)
        return Fitted(lambda: found.predict_proba(table.scaled[1]), BY_HAND)

    return {OURS: ours, HAND: by_hand}


def methods(name: str, table: data.Table,
            asked: argparse.Namespace) -> dict[str, Callable[[int], Fitted]]:
    "Method to a function of the seed, for the methods that take part on this table."
    effort = Effort(structures=2, epochs=2, search_epochs=2) if asked.quick else Effort()
    settings = {k: v for k, v in QUICK.items() if k != "hidden"} if asked.quick else {}
    graph = graph_of(name, table, asked.quick)
    if name != "signals" and asked.quick:
        settings["hidden"] = QUICK["hidden"]
    usual = (regressors if table.regression else classifiers)(table, graph, effort, settings)
    found = {REFERENCE: next(iter(usual.values())), OURS: usual["bstruct"],
             RANDOM: usual[f"best of {effort.structures} random"]}
    if name == "signals":
        return found | {m: usual[m] for m in GRADIENT} | on_signals(table, graph, effort, settings)
    trials, seconds = (2, 1.0) if asked.quick else (asked.trials, asked.flaml_seconds)
    found[TPE] = lambda seed: tuned.optuna_tpe(table, seed, effort, trials)
    found[FLAML] = lambda seed: tuned.flaml(table, seed, seconds)
    return found


def reference(split: Split, seed: int) -> None:
    "One default fit of scikit-learn's network, the unit of cost."
    table = split.table
    kind, (X, y) = (MLPRegressor if table.regression
                    else MLPClassifier), (table.scaled[0], table.y[0])
    kind(random_state=0).fit(X, (y - y.mean()) / y.std() if table.regression else y)


def prepared(name: str, asked: argparse.Namespace) -> Callable[[int], Split]:
    "A function of the seed: the table, and the methods that take part on it."
    def of(seed: int) -> Split:
        table = table_of(name, seed)
        table = table.head(100, 60) if asked.quick else table
        return Split(table, methods(name, table, asked))
    return of


def takes_part(name: str, method: str) -> bool:
    """Searches by gradient and the structure set by hand need the signals; Optuna and FLAML need
    columns."""
    return method not in ((TPE, FLAML) if name == "signals" else (*GRADIENT, HAND))


def stored(path: Path | None, budget: dict, fresh: bool) -> list[dict]:
    "The rows of an earlier run. SystemExit where it had another budget."
    if not path or not path.exists() or fresh:
        return []
    old = read_study(path)
    if old.more["budget"] != budget:
        raise SystemExit(f"{path.name} holds results of {old.more['budget']}, asked is {budget}: "
                         "take --fresh to forget them, or --out for another folder")
    return old.rows


def report(rows: list[dict]) -> None:
    "A table of means and standard deviations for each data set, with the number of seeds."
    for name in [t for t in TABLES if any(r["data"] == t for r in rows)]:
        found = [r for r in rows if r["data"] == name]
        keys = [k for k in ("accuracy", "rmse", "log_loss", "cpu_ratio") if k in found[0]]
        lines = []
        for method, row in summarise(found).items():
            seeds = sum(r["method"] == method for r in found)
            lines.append([method, *(f"{row[k][0]:.3f} ± {row[k][1]:.3f}" for k in keys),
                          str(seeds)])
        print(f"\n{name}")
        print_columns(["", *keys, "seeds"], lines)


def run(asked: argparse.Namespace, out: Path | None) -> list[dict]:
    "All that is asked for and not there yet, seed by seed."
    budget = {"quick": asked.quick, "trials": asked.trials, "flaml_seconds": asked.flaml_seconds}
    path, journal = out and out / "tasks.json", out and out / "tasks.journal"
    if journal and asked.fresh:
        journal.unlink(missing_ok=True)
    absent = {m: why for m, name in ((TPE, "optuna"), (FLAML, "flaml")) if m in asked.methods
              and (why := tuned.missing(name))}
    for why in absent.values():
        print(f"skipped: {why}")
    fits = {m: lambda s, seed, m=m: s.fits[m](seed) for m in asked.methods if m not in absent}
    found = study({name: prepared(name, asked) for name in asked.data}, fits, range(asked.seeds),
                  score=scored, unit=reference, takes_part=takes_part, journal=journal, plan=budget,
                  done=stored(path, budget, asked.fresh), packages=("optuna", "flaml"), log=shown)
    rows = sorted(found.rows, key=lambda r: (TABLES.index(r["data"]), METHODS.index(r["method"]),
                                             r["seed"]))
    report(rows)
    if out and rows:
        replace(found, rows=rows, more={"budget": budget}).save(path, journal=journal)
        plot_scores(rows, ["log_loss"]).savefig(out / "tasks.png")
    return rows


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.search.tasks", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", nargs="+", choices=TABLES, default=list(TABLES),
                        help="tables (all)")
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS),
                        help="methods (all)")
    parser.add_argument("--seeds", type=int, default=5, help="seeds 0, 1, ... (5)")
    parser.add_argument("--trials", type=int, default=25, help="of Optuna (25)")
    parser.add_argument("--flaml-seconds", type=float, default=20.0, help="of FLAML (20)")
    parser.add_argument("--install", action="store_true",
                        help="install Optuna and FLAML for the benchmarks, and stop")
    parser.add_argument("--fresh", action="store_true", help="forget what is stored")
    parser.add_argument("--quick", action="store_true",
                        help="few rows, tiny searches: does it run?")
    parser.add_argument("--out", type=Path, help="folder for the results")
    asked = parser.parse_args(arguments)
    if asked.install:
        return tuned.install()
    if asked.seeds < 1:
        parser.error(f"--seeds is {asked.seeds}: at least 1 is needed")
    torch.set_num_threads(1)
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # 200 epochs are scikit-learn's default
        np.random.seed(0)
        run(asked, asked.out or (None if asked.quick else RESULTS))


if __name__ == "__main__":
    main()
