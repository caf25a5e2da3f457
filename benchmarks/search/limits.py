"""What a search finds in a limited time: `python -m benchmarks.search.limits [--cases ...]
[--label after]`.

A case is a table and a limit in seconds: `flights` (75,000 rows, from a package) and `synthetic`,
200,000 rows of 20 numbers whose first five make the target of Friedman's first function. The
default network of scikit-learn, which has no limit, is fitted to the rows of each table once.

The cases of `FORESEEN` have no limit: what the forecast says of the search, in one process with it,
stands beside the seconds of the processor that it took.

A row of results/limits.json has the test error, whether anything was judged, how many networks
were, the seconds of wall and processor, and the notes of the fit. `--label` names the version that
ran: a case that the file holds under that label is not run again.
"""
import argparse
import time
import warnings
from pathlib import Path

import numpy as np
import torch
from sklearn.datasets import make_friedman1
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPRegressor
from threadpoolctl import threadpool_limits

from benchmarks.search import data, tuned
from benchmarks.search.__main__ import RESULTS
from benchmarks.store import origin
from bstruct.experiments.study import read_study, write_study
from bstruct.use.estimators import StructureClassifier, StructureRegressor

NAME, PLAIN = "limits.json", "scikit-learn"
CASES = {"synthetic:20": 20.0, "synthetic:60": 60.0, "flights:20": 20.0, "flights:120": 120.0}
FORESEEN = ("bikeshare", "wage", "default")
TEST = 20_000  # rows of the synthetic table that no fit sees


def table_of(name: str, rows: int | None) -> data.Table:
    "The table of a case, split; at most so many rows are fitted."
    if name != "synthetic":
        table = data.load(name, 0)
        return table if rows is None else table.head(rows, TEST)
    many = 200_000 if rows is None else rows
    X, y = make_friedman1(many + TEST, n_features=20, noise=1.0, random_state=0)
    parts = X[:many], X[many:]
    return data.Table(name, parts, data.standardised(*parts), (y[:many], y[many:]))


def errors(y: np.ndarray, mean: np.ndarray, deviation: np.ndarray | float) -> dict:
    "Root of the mean square, and the mean of -ln p of a row in nats."
    z, scale = (y - mean) / deviation, np.log(deviation) + 0.5 * np.log(2 * np.pi)
    return {"rmse": float(np.sqrt(np.mean((y - mean)**2))),
            "log_loss": float(np.mean(0.5 * z**2 + scale))}


def plain(table: data.Table) -> dict:
    "The default network of scikit-learn; its deviation is that of its residuals."
    (X, X_test), (y, y_test) = table.scaled, table.y
    model = MLPRegressor(random_state=0).fit(X, (y - y.mean()) / y.std())
    spread = float(np.std(y - y.mean() - y.std() * model.predict(X)))
    return errors(y_test, y.mean() + y.std() * model.predict(X_test), spread)


def limited(table: data.Table, limit: float, seed: int) -> dict:
    "A search with this limit."
    model = StructureRegressor(random_state=seed, time_limit=limit).fit(table.raw[0], table.y[0])
    mean, deviation = model.predict(table.raw[1], return_std=True)
    rows = [r for r in model.result_.ranking if r.name is None and r.fitted is not False]
    return errors(table.y[1], mean, deviation) | {
        "judged": len(rows), "notes": list(model.notes_),
        "structure": dict(model.result_.structures[0])}


def foreseen(table: data.Table) -> dict:
    "What the forecast of a search says, and what the search takes."
    kind = StructureRegressor if table.regression else StructureClassifier
    model, rows = kind(random_state=0), (table.raw[0], table.y[0])
    told = model.forecast(*rows)
    begin = time.process_time()
    model.fit(*rows)
    taken = time.process_time() - begin
    fit = str(model.evidence_.of)
    found = {"forecast": told.seconds, "longest": told.longest, "taken": taken, "fit": fit}
    if table.regression:
        mean, deviation = model.predict(table.raw[1], return_std=True)
        return found | errors(table.y[1], mean, deviation)
    p = model.predict_proba(table.raw[1])
    at = np.searchsorted(model.classes_, table.y[1])
    return found | {"log_loss": float(-np.log(p[np.arange(len(p)), at]).mean())}


def timed(case: str, method: str, work) -> dict:
    "What the work finds, with its seconds."
    wall, own = time.perf_counter(), time.process_time()
    found = work()
    return {"data": case, "method": method, "seed": 0, **found,
            "wall_seconds": time.perf_counter() - wall,
            "cpu_seconds": time.process_time() - own}


def run(asked: argparse.Namespace, path: Path) -> list[dict]:
    "The rows of the file, with those of the cases that it lacks."
    old = read_study(path) if path.exists() else None
    rows, runs = (old.rows, old.more.get("runs", {})) if old else ([], {})
    there = {(r["data"], r["method"]) for r in rows}
    for case in asked.cases:
        name, _, _ = case.partition(":")
        table, unit = table_of(name, asked.rows), (f"{name}:none", PLAIN)
        own = [(f"{name}:none", PLAIN, lambda: plain(table))] * asked.plain
        limit = asked.seconds or CASES.get(case)
        own += [(case, asked.label, lambda: limited(table, limit, 0) if limit
                 else foreseen(table))]
        for at, method, work in own:
            if (at, method) in there:
                continue
            rows.append(timed(at, method, work))
            there |= {(at, method), unit} if method == PLAIN else {(at, method)}
            runs[f"{at} {method}"] = {"limit": limit} | origin()
            write_study(path, rows, origin(), runs=runs)
            shown = ("rmse", "log_loss", "judged", "forecast", "longest", "taken",
                     "wall_seconds", "cpu_seconds", "notes")
            print(at, method, {k: rows[-1][k] for k in shown if k in rows[-1]}, flush=True)
    return rows


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.search.limits",
                                     description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", nargs="+", choices=[*CASES, *FORESEEN],
                        default=[*CASES, *FORESEEN])
    parser.add_argument("--label", default="bstruct", help="of the version that runs")
    parser.add_argument("--plain", action="store_true", help="fit scikit-learn's network, too")
    parser.add_argument("--rows", type=int, help="that are fitted, instead of all")
    parser.add_argument("--seconds", type=float, help="in place of those of the cases")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder for the results")
    asked = parser.parse_args(arguments)
    tuned.on_path()
    torch.set_num_threads(1)
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        run(asked, asked.out / NAME)


if __name__ == "__main__":
    main()
