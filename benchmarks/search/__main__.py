"""Structure search beside simpler ways: `python -m benchmarks.search [--data digits diabetes
mnist1d] [--quick]`.

digits and mnist1d: bstruct's StructureClassifier, scikit-learn's MLPClassifier, and three searches
over the same graph (64 -> 64 -> 64 -> 10 with a skip edge, six candidates an edge, 216 structures)
that were written for the comparison: the best of 10 random structures, first-order DARTS,
Gumbel-Softmax, each fitted with Adam and early stopping. Two more rows tell what comes from
averaging and what from the choice: the mean prediction of the 10 random networks, and bstruct's
structure fitted as the others fit theirs. diabetes: StructureRegressor, MLPRegressor,
BayesianRidge, and random search.

25 % of the rows are the test set (random_state 0; mnist1d: the package's own). Inputs are divided
by 16 (digits) or standardised; bstruct gets them raw. Everything runs in one process and thread,
and the contestants take turns, seed by seed. CPU is the process time of a fit divided by that of
scikit-learn's network for the same seed.

Prints a table (mean ± standard deviation over the seeds), writes DATA.json and DATA.png into
results/ beside this file, or into --out. Digits takes about five CPU minutes, diabetes two; --quick
takes seconds and writes only into --out.
"""
import argparse
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from scipy.stats import norm
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import accuracy_score, log_loss, root_mean_squared_error
from threadpoolctl import threadpool_limits

from benchmarks.search import data
from benchmarks.search.contestants import BSTRUCT, PLAIN, Fitted, classifiers, plainly, regressors
from benchmarks.search.show import plot, print_table
from bstruct.experiments.baselines import Effort
from bstruct.experiments.study import Study, fingerprint, ratios, study, summarise, write_study
from bstruct.model.graph import Graph
from bstruct.model.presets import dense
from bstruct.search.settings import Settings

RESULTS = Path(__file__).parent / "results"
QUICK = {"hidden": (8, 8), "epochs": 2, "min_steps": 0, "starts": 3, "screened": 2, "finalists": 1,
         "samples": 4}


def plan(table: data.Table, quick: bool) -> tuple[data.Table, Graph, Effort, dict]:
    "The table, the graph, the effort of the baselines and the settings of bstruct."
    settings = QUICK if quick else {}
    table = table.head(150, 100) if quick else table
    hidden = settings.get("hidden", Settings.hidden)
    graph = dense(table.raw[0].shape[1], table.outputs, hidden)
    effort = Effort(structures=3, epochs=3, search_epochs=2) if quick else Effort()
    return table, graph, effort, settings


def scores(table: data.Table, fitted: Fitted) -> dict[str, float]:
    """Accuracy and log-loss; or RMSE, share of the 90 % intervals that hold the target, and mean
    -ln p in nats."""
    y, found = table.y[1], fitted.predict()
    if not table.regression:
        labels = np.arange(table.outputs)
        return {"accuracy": accuracy_score(y, found.argmax(1)),
                "log_loss": log_loss(y, found, labels=labels)}
    mean, std = found
    inside = np.abs(y - mean) <= norm.ppf(0.95) * std
    return {"rmse": root_mean_squared_error(y, mean), "coverage": inside.mean(),
            "log_loss": -norm.logpdf(y, mean, std).mean()}


@dataclass(frozen=True)
class Split:
    "What the contestants of a table are given, and how each of them is fitted to it."

    table: data.Table
    fits: dict[str, Callable[[int], Fitted]]

    @property
    def fingerprint(self) -> str:
        return fingerprint((self.table.raw, self.table.y))


def scored(split: Split, fitted: Fitted) -> dict:
    "Scores, and the structure where there is one."
    return scores(split.table, fitted) | {"structure": fitted.structure}


def shown(row: dict) -> None:
    "One line a row."
    told = ", ".join(f"{k} {v:.3f}" for k, v in row.items() if isinstance(v, float))
    print(f"  seed {row['seed']}  {row['data']}  {row['method']}: {told}", flush=True)


def measure(table: data.Table, graph: Graph, effort: Effort, settings: dict, seeds: int,
            log=shown) -> Study:
    """All contestants, a seed each; then the structures that bstruct found, fitted as the others
    fit theirs."""
    split = Split(table, (regressors if table.regression
                          else classifiers)(table, graph, effort, settings))
    methods = {name: lambda s, seed, name=name: s.fits[name](seed) for name in split.fits}
    first, given = next(iter(methods)), {table.name: lambda seed: split}
    found = study(given, methods, range(seeds), score=scored, reference=first, log=log)
    if table.regression:
        return found
    picks = {r["seed"]: r for r in found.rows if r["method"] == BSTRUCT}
    plain = lambda s, seed: plainly(table, graph, effort, picks[seed]["structure"], seed)
    more = study(given, {PLAIN: plain}, picks, score=scored, log=log).rows
    more = [r | {"cpu_seconds": r["cpu_seconds"] + picks[r["seed"]]["cpu_seconds"]} for r in more]
    return replace(found, rows=ratios(found.rows + more, first))


def run(name: str, seeds: int, quick: bool, out: Path | None) -> dict:
    "Measure one table; print, and write where `out` says."
    table, graph, effort, settings = plan(data.load(name), quick)
    train, test = map(len, table.y)
    print(f"\n{name}: {train} training and {test} test rows, {graph.n_structures} structures",
          flush=True)
    if not quick:
        # imports and first calls are nobody's cost
        measure(*plan(table, True), 1, log=lambda row: None)
    found = measure(table, graph, effort, settings, seeds)
    result = {"data": name, "quick": quick, "seeds": seeds, "structures": graph.n_structures,
              "effort": vars(effort),
              "settings": settings, "rows": found.rows, "summary": summarise(found.rows)}
    print_table(result)
    if out:
        write_study(out / f"{name}.json", what=found.about, **result)
        plot(result, out / f"{name}.png")
        print(f"written: {name}.json and {name}.png in {out.name}")
    if not found.complete:
        raise KeyboardInterrupt
    return result


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.search", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", nargs="+", choices=data.NAMES, default=["digits", "diabetes"],
                        help="tables (digits diabetes)")
    parser.add_argument("--seeds", type=int, help="seeds 0, 1, ... of every contestant (5; 2 with "
                                                  "--quick)")
    parser.add_argument("--quick", action="store_true",
                        help="tiny rows, networks and searches: does it run?")
    parser.add_argument("--out", type=Path, help="folder for the results")
    asked = parser.parse_args(arguments)
    seeds = asked.seeds if asked.seeds is not None else 2 if asked.quick else 5
    if seeds < 1:
        parser.error(f"--seeds is {seeds}: at least 1 is needed")
    torch.set_num_threads(1)
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # 200 epochs are scikit-learn's default
        for name in asked.data:
            run(name, seeds, asked.quick, asked.out or (None if asked.quick else RESULTS))


if __name__ == "__main__":
    main()
