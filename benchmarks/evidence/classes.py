"""Which judge of classes predicts better? `python -m benchmarks.evidence.classes [--jobs N]`.

Ten tables, five splits of each into rows for the fit and rows for the test; both judges, `ensemble`
and `prequential`, fit the same rows with the seed of the split and default settings. A row of
results/classes.json has the log-loss on the test rows, in nats, and the CPU seconds of the fit. A
row that is stored is not made again.

Printed are a line a table: both mean log-losses, their difference with the error of a mean of
pairs, both CPU seconds; and the same over all tables.
"""
import argparse
import json
import math
import time
import warnings
from pathlib import Path

import numpy as np
from joblib import Parallel, delayed
from sklearn import datasets
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split
from threadpoolctl import threadpool_limits

from benchmarks.store import store
from bstruct import StructureClassifier

RESULTS = Path(__file__).parent / "results" / "classes.json"
JUDGES = ("ensemble", "prequential")
SEEDS = range(5)
QUICK = {"hidden": (8,), "epochs": 2, "min_steps": 0, "screened": 2, "starts": 1, "finalists": 1}


def drawn(name: str, g: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    "Columns and classes that know nothing of each other, or by a logistic law."
    X = g.normal(size=(1200, 6))
    if name == "noise":
        return X, g.integers(3, size=1200)
    return X, (g.random(1200) < 1 / (1 + np.exp(-X @ [2, -1.5, 1, 0, 0, 0]))).astype(int)


MADE = {"moons": lambda s: datasets.make_moons(1200, noise=0.25, random_state=s),
        "circles": lambda s: datasets.make_circles(1200, noise=0.2, factor=0.5, random_state=s),
        "informative": lambda s: datasets.make_classification(
            1400, 12, n_informative=6, n_classes=4, n_clusters_per_class=2, class_sep=1.2,
            random_state=s),
        "noise": lambda s: drawn("noise", np.random.default_rng(s)),
        "logistic": lambda s: drawn("logistic", np.random.default_rng(s))}
LOADED = {"iris": 0.75, "wine": 0.75, "breast_cancer": 0.75, "digits": 0.75, "digits-300": 300}
TABLES = (*LOADED, *MADE)


def rows_of(name: str, seed: int) -> list[np.ndarray]:
    "Training columns, test columns, training target, test target."
    if name in MADE:
        X, y = MADE[name](seed)
        return train_test_split(X, y, train_size=200, random_state=seed, stratify=y)
    X, y = getattr(datasets, f"load_{name.split('-')[0]}")(return_X_y=True)
    return train_test_split(X, y, train_size=LOADED[name], random_state=seed, stratify=y)


def measured(name: str, seed: int, judge: str, options: dict) -> dict:
    a, b, y, target = rows_of(name, seed)
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        begin = time.process_time()
        model = StructureClassifier(judge=judge, random_state=seed, **options).fit(a, y)
        spent = time.process_time() - begin
        loss = log_loss(target, model.predict_proba(b), labels=model.classes_)
    return {"table": name, "seed": seed, "judge": judge, "log_loss": float(loss),
            "cpu_seconds": spent}


def table(rows: list[dict]) -> str:
    "What the rows say, a line a table and one of all."
    lines, gaps = [f"{'':14}ensemble  prequential  difference        CPU seconds"], []
    for name in TABLES:
        own = {(r["judge"], r["seed"]): r for r in rows if r["table"] == name}
        seeds = [s for s in SEEDS if all((j, s) in own for j in JUDGES)]
        if len(seeds) < 2:
            continue
        one, two = ([own[j, s]["log_loss"] for s in seeds] for j in JUDGES)
        gap = np.array(one) - two
        gaps.append(gap.mean())
        cpu = [np.mean([own[j, s]["cpu_seconds"] for s in seeds]) for j in JUDGES]
        lines.append(f"{name:14}{np.mean(one):8.4f}{np.mean(two):13.4f}{gap.mean():+12.4f} ± "
                     f"{gap.std(ddof=1) / math.sqrt(len(gap)):.4f}{cpu[0]:9.1f}{cpu[1]:6.1f}")
    if len(gaps) > 1:
        lines.append(f"{'mean of tables':35}{np.mean(gaps):+12.4f} ± "
                     f"{np.std(gaps, ddof=1) / math.sqrt(len(gaps)):.4f}")
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> None:
    "Fit what is not stored yet, and print what all rows say."
    parser = argparse.ArgumentParser(prog="python -m benchmarks.evidence.classes",
                                     description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=1, help="processes, each on one thread")
    parser.add_argument("--only", action="append", choices=TABLES, help="a table")
    parser.add_argument("--show", action="store_true", help="print only")
    parser.add_argument("--quick", action="store_true", help="small fits of one table")
    parser.add_argument("--out", type=Path, default=RESULTS)
    given = parser.parse_args(arguments)
    rows = json.loads(given.out.read_text())["rows"] if given.out.exists() else []
    known = {(r["table"], r["seed"], r["judge"]) for r in rows}
    names = ("iris",) if given.quick else given.only or TABLES
    left = [] if given.show else [(n, s, j) for s in SEEDS for n in names for j in JUDGES
                                  if (n, s, j) not in known]
    calls = (delayed(measured)(*c, QUICK if given.quick else {}) for c in left)
    for row in Parallel(given.jobs, return_as="generator_unordered")(calls):
        rows.append(row)
        store(given.out, {"rows": rows}, ("torch", "scikit-learn", "numpy"))
    print(table(rows))


if __name__ == "__main__":
    main()
