"""What a default fit costs, two versions of the code side by side:
`python -m benchmarks.evidence.cost --old FOLDER [--repeats N]`.

FOLDER is a check-out of an older version (`git worktree add`). Every fit has a process of its own,
imports not counted; the versions take turns, so that what else the machine does falls on both.
CPU seconds and scores on test rows (R², or log-loss in nats) are added to results/cost.json. A
version is named by its last commit; the working tree is the new one.
"""
import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from statistics import median

from benchmarks.store import store

RESULTS = Path(__file__).parent / "results" / "cost.json"
TABLES = ("diabetes", "friedman1", "iris", "wine", "digits")
FIT = """
import json, sys, time, warnings
import numpy as np, torch
from sklearn import datasets
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split
from bstruct import StructureClassifier, StructureRegressor
warnings.simplefilter("ignore")
torch.set_num_threads(1)
name, seed = sys.argv[1], int(sys.argv[2])
if name == "friedman1":
    X, y = datasets.make_friedman1(1200, noise=1.0, random_state=0)
    X, X2, y, y2 = X[:200], X[200:], y[:200], y[200:]
else:
    X, y = getattr(datasets, "load_" + name)(return_X_y=True)
    kind = y if name != "diabetes" else None
    X, X2, y, y2 = train_test_split(X, y, random_state=0, stratify=kind)
numbers = name in ("diabetes", "friedman1")
model = (StructureRegressor if numbers else StructureClassifier)(random_state=seed)
begin = time.process_time()
model.fit(X, y)
cpu = time.process_time() - begin
begin = time.process_time()
score = model.score(X2, y2) if numbers else log_loss(y2, model.predict_proba(X2))
print(json.dumps({"cpu": cpu, "predict": time.process_time() - begin, "score": float(score)}))
"""


def fit(folder: Path, name: str, seed: int) -> dict:
    "CPU seconds and score of one fit by the code of the folder."
    alone = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "PYTHONPATH": str(folder)}
    done = subprocess.run([sys.executable, "-c", FIT, name, str(seed)], cwd=folder, check=True,
                          env=os.environ | alone, capture_output=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def version(folder: Path) -> str:
    "The last commit of the folder, short."
    told = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=folder, check=True,
                          capture_output=True, text=True)
    return told.stdout.strip()


def table(rows: list[dict]) -> str:
    "Median seconds of both, and the median ratio of pairs, a line a table and a pair of versions."
    lines = []
    for key in dict.fromkeys((r["table"], r["old"], r["new"]) for r in rows):
        own = [r for r in rows if (r["table"], r["old"], r["new"]) == key]
        old, new = ([r[k]["cpu"] for r in own] for k in ("before", "after"))
        ratio = median(b / a for a, b in zip(old, new))
        lines.append(f"{key[0]:10} {key[1]} {median(old):6.1f} s, {key[2]} {median(new):6.1f} s, "
                     f"ratio {ratio:.2f}, {len(own)} pairs")
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> None:
    "Add pairs of fits, and print what all of them say."
    parser = argparse.ArgumentParser(prog="python -m benchmarks.evidence.cost",
                                     description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--old", type=Path, help="check-out of an older version; none: print only")
    parser.add_argument("--repeats", type=int, default=2, help="seeds a table")
    parser.add_argument("--only", action="append", choices=TABLES, help="a table")
    parser.add_argument("--out", type=Path, default=RESULTS)
    given = parser.parse_args(arguments)
    rows = json.loads(given.out.read_text())["rows"] if given.out.exists() else []
    here = Path.cwd()
    for seed in range(given.repeats if given.old else 0):
        for name in given.only or TABLES:
            both = [fit(f.resolve(), name, seed) for f in (given.old, here)]
            rows.append({"table": name, "seed": seed, "old": version(given.old),
                         "new": version(here), "before": both[0], "after": both[1]})
            store(given.out, {"rows": rows})
    print(table(rows))


if __name__ == "__main__":
    main()
