"""AutoGluon on the tables of the tasks: `python -m benchmarks.search.stacked [--site FOLDER]`.

AutoGluon asks for versions of pandas that this library does not, so that it runs in a process of
its own, with a folder that comes first on its path: --install fills .bench/autogluon with AutoGluon
and the boosted trees that it stacks (LightGBM, CatBoost, XGBoost); torch and scikit-learn are those
of the environment. FastAI and models whose weights are downloaded do not take part.

Each fit has its defaults (medium quality), one processor and --seconds of wall clock; its processor
time is that of its process and children, import left out, in units of one default fit of
scikit-learn's network on the same rows, timed just before it. Tables and splits are those of
`benchmarks.search.tasks`, and so is the law of a number: the standard deviation is the root of the
mean squared error on its own validation rows. What is done is kept in results/stacked.json at once.
"""
import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import threadpool_limits

from benchmarks.search.__main__ import RESULTS, Split, scores, shown
from benchmarks.search.contestants import Fitted
from benchmarks.search.tasks import reference, table_of
from benchmarks.search.tuned import ROOT
from bstruct.core.about import about
from bstruct.experiments.study import read_study, write_study

TABLES = ("digits", "diabetes", "wine", "breast_cancer", "iris", "mnist1d")
FOLDER = ROOT / ".bench/autogluon"
PACKAGES = (*(f"autogluon.{part}==1.6.3" for part in ("tabular", "core", "features", "common")),
            "pandas<2.4", "lightgbm<4.8", "xgboost-cpu", "catboost", "graphviz", "plotly", "pytz",
            "tzdata", "narwhals", "boto3", "botocore", "s3transfer", "jmespath")
# The other process: rows from a file, answers into another.
WORKER = '''
import json, resource, sys, tempfile
import numpy as np
import pandas as pd
from autogluon.tabular import TabularPredictor, __version__
given, answers, regression, seconds = sys.argv[1], sys.argv[2], sys.argv[3] == "1", sys.argv[4]
rows = np.load(given)
frame = lambda X: pd.DataFrame(X, columns=[f"x{i}" for i in range(X.shape[1])])
learn = frame(rows["X"]).assign(y=rows["y"])
spent = lambda: sum(u.ru_utime + u.ru_stime for u in map(
    resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)))
begin = spent()
with tempfile.TemporaryDirectory() as folder:
    model = TabularPredictor("y", path=folder, verbosity=0, problem_type=None if not regression
                             else "regression", eval_metric=None if regression else "log_loss")
    model.fit(learn, num_cpus=1, num_gpus=0, time_limit=float(seconds))
    cpu, board = spent() - begin, model.leaderboard(silent=True)
    if regression:
        mean = model.predict(frame(rows["X_test"])).to_numpy(float)
        found = np.stack([mean, np.full(len(mean), -board["score_val"].iloc[0])], 1)
    else:
        found = model.predict_proba(frame(rows["X_test"]))[sorted(np.unique(rows["y"]))].to_numpy()
        found = found / found.sum(1, keepdims=True)  # sums of single precision
np.savez(answers, found=found)
print(json.dumps({"cpu": cpu, "version": __version__, "models": board["model"].tolist()}))
'''


def fitted(split: Split, seconds: float, site: Path) -> tuple[Fitted, dict]:
    "AutoGluon in a process of its own, and what it says of itself."
    table = split.table
    path = os.pathsep.join([str(site), os.environ.get("PYTHONPATH", "")])
    with tempfile.TemporaryDirectory() as folder:
        given, answers = (str(Path(folder) / name) for name in ("given.npz", "answers.npz"))
        np.savez(given, X=table.raw[0], y=table.y[0], X_test=table.raw[1])
        command = [sys.executable, "-W", "ignore", "-c", WORKER, given, answers,
                   str(int(table.regression)), str(seconds)]
        env = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
        done = subprocess.run(command, env=env, cwd=folder, capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(f"AutoGluon failed: {done.stderr.strip()[-600:]}")
        found, told = np.load(answers)["found"], json.loads(done.stdout.splitlines()[-1])
    return Fitted(lambda: (found[:, 0], found[:, 1]) if table.regression else found), told


def measured(name: str, seed: int, seconds: float, site: Path) -> dict:
    "One row: scores, processor time and what took part."
    split = Split(table_of(name, seed), {})
    begin = time.process_time()
    reference(split, seed)
    unit = time.process_time() - begin
    answer, told = fitted(split, seconds, site)
    return {"data": name, "seed": seed, "method": "AutoGluon", **scores(split.table, answer),
            "cpu_seconds": told["cpu"], "cpu_ratio": told["cpu"] / unit,
            "version": told["version"], "models": told["models"]}


def run(asked: argparse.Namespace, path: Path) -> list[dict]:
    "All that is asked for and not there yet; written after every fit."
    rows = read_study(path).rows if path.exists() and not asked.fresh else []
    for seed in range(asked.seeds):
        for name in asked.data:
            if not any((r["data"], r["seed"]) == (name, seed) for r in rows):
                rows.append(measured(name, seed, asked.seconds, asked.site))
                shown(rows[-1])
                write_study(path, rows, about(), budget={"seconds": asked.seconds})
    return rows


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.search.stacked",
                                     description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", nargs="+", choices=TABLES, default=list(TABLES),
                        help="tables (all)")
    parser.add_argument("--seeds", type=int, default=5, help="seeds 0, 1, ... (5)")
    parser.add_argument("--seconds", type=float, default=60.0, help="of each fit (60)")
    parser.add_argument("--site", type=Path, default=FOLDER, help="folder with AutoGluon")
    parser.add_argument("--install", action="store_true", help="fill that folder, and stop")
    parser.add_argument("--fresh", action="store_true", help="forget what is stored")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder for the results")
    asked = parser.parse_args(arguments)
    if asked.install:
        subprocess.run([sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target",
                        str(asked.site), *PACKAGES], check=True)
        return
    if not (asked.site / "autogluon").is_dir():
        parser.error(f"--site {asked.site}: AutoGluon is not there; run with --install")
    torch.set_num_threads(1)
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        run(asked, asked.out / "stacked.json")


if __name__ == "__main__":
    main()
