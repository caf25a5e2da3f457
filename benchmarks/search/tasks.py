"""Real tasks: `python -m benchmarks.search.tasks [--data ...] [--methods ...] [--seeds N]
[--quick]`.

Tables of 150 to 100,000 rows that packages ship, `steps`, a generated one that favours trees, and
`signals`: mnist1d with a graph of convolutions (600 structures). Methods: scikit-learn's default
network (the reference), bstruct with its defaults, HistGradientBoosting with its defaults
("trees"), Optuna's TPE with a median pruner over a torch network, FLAML and AutoGluon. On the first
seven tables also the best of 10 random structures of the graph of bstruct; on the others bstruct
with codes of numbers among its candidates; on `signals` the network, bstruct and the random search
stand beside DARTS, Gumbel-Softmax and one structure set by hand. (DARTS and Gumbel-Softmax on
digits and mnist1d are in `python -m benchmarks.search`.)

digits and mnist1d have one test set (25 %, random_state 0; the package's own); the other tables are
split anew for every seed. One process, one thread; AutoGluon has a process of its own. CPU is the
process time of a fit divided by that of one default MLPClassifier (MLPRegressor) fit on the same
rows, timed just before it; from 20,000 rows on, of the one that takes part with the same seed.
FLAML and AutoGluon stop by wall clock, so they get less of a busy machine. Large tables have fewer
seeds and trials, and bstruct has a time limit on them: see `budget`.

Every result is kept in results/tasks-TABLE.journal as soon as it is there, goes to
results/tasks.json when its table is done, and is not computed again (--fresh: forget them); a run
that was stopped or killed goes on. Optuna, FLAML, AutoGluon and the packages of the tables come
with --install.
"""
import argparse
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier, MLPRegressor
from threadpoolctl import threadpool_limits
from torch import Generator

from benchmarks.search import data, stacked, tuned
from benchmarks.search.__main__ import QUICK, RESULTS, Split, scored, shown
from benchmarks.search.contestants import Fitted, classifiers, regressors
from benchmarks.search.show import print_columns
from benchmarks.store import origin
from bstruct.experiments.baselines import Effort, fit, tensors
from bstruct.experiments.study import (
    plot_scores,
    ratios,
    read_study,
    study,
    summarise,
    timed,
    write_study,
)
from bstruct.model.graph import Graph
from bstruct.model.presets import convolutional, dense
from bstruct.use.estimators import StructureClassifier, StructureRegressor

FIRST = ("digits", "mnist1d", "signals", "wine", "breast_cancer", "iris", "diabetes")
TABLES = (*FIRST, "hitters", "steps", "oj", "wage", "bikeshare", "hours", "default",
          "diamonds", "flights")
BY_HAND = {"x->h1": "conv1d+relu:5", "h1->h2": "conv1d+relu:3", "x->h2": "zero",
           "h2->h3": "conv1d+relu:3",
           # the plain stack of three convolutions that the authors of mnist1d use
           "h1->h3": "zero"}
REFERENCE, OURS, RANDOM, TPE, FLAML, HAND = ("scikit-learn", "bstruct", "random", "Optuna", "FLAML",
                                             "by hand")
BOOSTED, GLUON, CODED = "trees", "AutoGluon", "bstruct, codes"
CODES = ("pieces+relu:8", "periodic+relu:4")  # beside the usual candidates of bstruct
GRADIENT = ("DARTS", "Gumbel-Softmax")
METHODS = (REFERENCE, OURS, CODED, BOOSTED, RANDOM, *GRADIENT, TPE, FLAML, GLUON, HAND)
PACKAGES = ("optuna", "flaml", "lightgbm", "xgboost")
MIDDLE, LARGE = 5000, 20_000  # training rows


def budget(rows: int, asked: argparse.Namespace) -> dict:
    """What a seed of a table of so many training rows may cost: trials of Optuna, seconds of wall
    clock of FLAML, of AutoGluon and of bstruct (None: no limit)."""
    if asked.quick:
        return {"trials": 2, "flaml": 1.0, "autogluon": 10.0, "bstruct": None}
    large, part = rows >= LARGE, 1 if rows < MIDDLE else 2 / 5 if rows < LARGE else 1 / 5
    return {"trials": max(1, round(part * asked.trials)),
            "flaml": asked.flaml_seconds * (3 if large else 1),
            "autogluon": asked.gluon_seconds * (2 if large else 1),
            "bstruct": asked.limit if large else None}


def table_of(name: str, seed: int) -> data.Table:
    "The rows; small tables are split by the seed. `hours` is bikeshare with hours as names."
    if name in ("digits", "mnist1d", "signals"):
        return data.load("mnist1d" if name == "signals" else name)
    return data.load("bikeshare", seed, ("hr",)) if name == "hours" else data.load(name, seed)


def graph_of(name: str, table: data.Table, quick: bool) -> Graph:
    "The graph that bstruct and the random search work on."
    columns = table.scaled[0].shape[1]
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


def with_codes(table: data.Table, settings: dict) -> Callable[[int], Fitted]:
    "bstruct with codes of numbers among its candidates, and the probability that they have."
    own = {k: v for k, v in settings.items() if k != "hidden"}
    graph = dense(table.scaled[0].shape[1], table.outputs, settings.get("hidden", (64, 64)),
                  codes=CODES)
    kind = StructureRegressor if table.regression else StructureClassifier

    def ours(seed: int) -> Fitted:
        model = kind(graph=graph, random_state=seed, **own).fit(table.raw[0], table.y[0])
        law = model.structure_probabilities_
        share = {e: sum(p for c, p in law[e].items() if c in CODES)
                 for e in graph.choices if e.startswith("x->")}
        told = {e: model.structure_[e] for e in graph.choices} | {"codes": share}
        if table.regression:
            return Fitted(lambda: model.predict(table.raw[1], return_std=True), told)
        return Fitted(lambda: model.predict_proba(table.raw[1]), told)
    return ours


def methods(name: str, table: data.Table, asked: argparse.Namespace,
            cost: dict) -> dict[str, Callable[[int], Fitted]]:
    "Method to a function of the seed, for the methods that take part on this table."
    effort = Effort(structures=2, epochs=2, search_epochs=2) if asked.quick else Effort()
    settings = {k: v for k, v in QUICK.items() if k != "hidden"} if asked.quick else {}
    settings |= {"time_limit": cost["bstruct"]} if cost["bstruct"] else {}
    graph = graph_of(name, table, asked.quick)
    if name != "signals" and asked.quick:
        settings["hidden"] = QUICK["hidden"]
    usual = (regressors if table.regression else classifiers)(table, graph, effort, settings)
    found = {REFERENCE: next(iter(usual.values())), OURS: usual["bstruct"],
             RANDOM: usual[f"best of {effort.structures} random"]}
    if name == "signals":
        return found | {m: usual[m] for m in GRADIENT} | on_signals(table, graph, effort, settings)
    return found | {
        CODED: with_codes(table, settings),
        BOOSTED: lambda seed: tuned.trees(table, seed, effort.validation),
        TPE: lambda seed: tuned.optuna_tpe(table, seed, effort, cost["trials"]),
        FLAML: lambda seed: tuned.flaml(table, seed, cost["flaml"]),
        GLUON: lambda seed: stacked.autogluon(table, cost["autogluon"])}


def reference(split: Split, seed: int) -> None:
    "One default fit of scikit-learn's network, the unit of cost."
    table = split.table
    kind, (X, y) = (MLPRegressor if table.regression
                    else MLPClassifier), (table.scaled[0], table.y[0])
    kind(random_state=0).fit(X, (y - y.mean()) / y.std() if table.regression else y)


def prepared(name: str, asked: argparse.Namespace, cost: dict) -> Callable[[int], Split]:
    "A function of the seed: the table, and the methods that take part on it."
    def of(seed: int) -> Split:
        table = table_of(name, seed)
        table = table.head(100, 60) if asked.quick else table
        return Split(table, methods(name, table, asked, cost))
    return of


def takes_part(name: str, method: str) -> bool:
    """Searches by gradient and the structure set by hand need the signals; codes, trees, Optuna,
    FLAML and AutoGluon need columns; the random search has been run on the first tables, and codes
    on the others."""
    if name == "signals":
        return method not in (CODED, BOOSTED, TPE, FLAML, GLUON)
    return method not in (*GRADIENT, HAND, CODED if name in FIRST else RANDOM)


def told(split: Split, fitted: Fitted) -> dict:
    """Scores, structure, and process time of two predictions of the test rows, the first apart from
    a later one, which may find something prepared."""
    if fitted.cpu_seconds:
        return scored(split, fitted)
    first, *later = (timed(fitted.predict)[1] for _ in range(4))
    return scored(split, fitted) | {"first_predict_seconds": first, "predict_seconds": min(later)}


def stored(path: Path | None, fresh: bool) -> tuple[list[dict], dict]:
    "The rows of an earlier run, and what it says of each table."
    if not path or not path.exists() or fresh:
        return [], {}
    old = read_study(path)
    return old.rows, old.more["tables"]


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


def absent(methods: list[str]) -> set[str]:
    "Methods that are not installed, each with a line."
    why = {m: tuned.missing(name) for m, name in ((TPE, "optuna"), (FLAML, "flaml"))}
    found = {m: w for m, w in (why | {GLUON: stacked.missing()}).items() if m in methods and w}
    for line in found.values():
        print(f"skipped: {line}")
    return set(found)


def on_table(name: str, asked: argparse.Namespace, out: Path | None,
             rows: list[dict], tables: dict) -> tuple[list[dict], dict]:
    "The rows of one table, those that were there and those that were asked for, and its entry."
    size = len(table_of(name, 0).y[0])
    cost, large = budget(size, asked), size >= LARGE
    done = [r for r in rows if r["data"] == name]
    if done and (old := tables[name]["budget"]) != cost:
        raise SystemExit(f"tasks.json holds results of {name} for {old}, asked is {cost}: "
                         "take --fresh to forget all, or --out for another folder")
    fits = {m: lambda s, seed, m=m: s.fits[m](seed) for m in asked.methods}
    journal = out and out / f"tasks-{name}.journal"
    if journal and asked.fresh:
        journal.unlink(missing_ok=True)
    seeds = range(min(2, asked.seeds) if large else asked.seeds)
    found = study({name: prepared(name, asked, cost)}, fits, seeds, score=told,
                  unit=None if large else reference, takes_part=takes_part, journal=journal,
                  plan=cost, done=done, packages=PACKAGES, log=shown)
    if not found.complete:
        raise KeyboardInterrupt
    own = ratios(found.rows, REFERENCE) if large else found.rows
    entry = tables.get(name) if len(done) == len(own) else None
    return own, entry or {"budget": cost, "training rows": size, "about": origin(PACKAGES)}


def run(asked: argparse.Namespace, out: Path | None) -> list[dict]:
    "All that is asked for and not there yet, table by table."
    path = out and out / "tasks.json"
    rows, tables = stored(path, asked.fresh)
    gone = absent(asked.methods)
    asked.methods = [m for m in asked.methods if m not in gone]
    for name in asked.data:
        found, tables[name] = on_table(name, asked, out, rows, tables)
        rows = sorted([r for r in rows if r["data"] != name] + found, key=lambda r: (
            TABLES.index(r["data"]), METHODS.index(r["method"]), r["seed"]))
        if path:
            write_study(path, rows, origin(PACKAGES), tables=tables,
                        journal=out / f"tasks-{name}.journal")
    report(rows)
    if out and rows:
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
    parser.add_argument("--gluon-seconds", type=float, default=60.0, help="of AutoGluon (60)")
    parser.add_argument("--limit", type=float, default=120.0,
                        help="seconds of bstruct on large tables (120)")
    parser.add_argument("--install", action="store_true",
                        help="install the peers and the tables for the benchmarks, and stop")
    parser.add_argument("--fresh", action="store_true", help="forget what is stored")
    parser.add_argument("--quick", action="store_true",
                        help="few rows, tiny searches: does it run?")
    parser.add_argument("--out", type=Path, help="folder for the results")
    asked = parser.parse_args(arguments)
    if asked.install:
        tuned.install()
        return stacked.install()
    if asked.seeds < 1:
        parser.error(f"--seeds is {asked.seeds}: at least 1 is needed")
    tuned.on_path()
    torch.set_num_threads(1)
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # 200 epochs are scikit-learn's default
        np.random.seed(0)
        run(asked, asked.out or (None if asked.quick else RESULTS))


if __name__ == "__main__":
    main()
