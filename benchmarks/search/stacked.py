"""AutoGluon, a peer of `benchmarks.search.tasks`, in a process of its own.

It asks for versions of pandas that this library does not, so that the process has a folder that
comes first on its path: `install` fills .bench/autogluon with AutoGluon and the boosted trees that
it stacks (LightGBM, CatBoost, XGBoost); torch and scikit-learn are those of the environment. FastAI
and models whose weights are downloaded do not take part.

A fit has AutoGluon's defaults (medium quality) and one processor. Its time is that of its process
and the children of it, import left out. The standard deviation of a number is the root of the mean
squared error on its own validation rows.
"""
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.search.contestants import Fitted
from benchmarks.search.data import Table
from benchmarks.search.tuned import ROOT

FOLDER = ROOT / ".bench/autogluon"
PACKAGES = (*(f"autogluon.{part}==1.6.3" for part in ("tabular", "core", "features", "common")),
            "pandas<2.4", "lightgbm<4.8", "xgboost-cpu", "catboost", "graphviz", "plotly", "pytz",
            "tzdata", "narwhals", "boto3", "botocore", "s3transfer", "jmespath")
# The other process: rows from files, answers into another.
WORKER = '''
import json, resource, sys, tempfile
from pathlib import Path
import numpy as np
import pandas as pd
from autogluon.tabular import TabularPredictor, __version__
folder, regression, seconds = Path(sys.argv[1]), sys.argv[2] == "1", float(sys.argv[3])
learn, test = (pd.read_csv(folder / f"{part}.csv") for part in ("learn", "test"))
spent = lambda: sum(u.ru_utime + u.ru_stime for u in map(
    resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)))
begin = spent()
with tempfile.TemporaryDirectory() as place:
    model = TabularPredictor("answer", path=place, verbosity=0, problem_type=None if not regression
                             else "regression", eval_metric=None if regression else "log_loss")
    model.fit(learn, num_cpus=1, num_gpus=0, time_limit=seconds)
    cpu, board = spent() - begin, model.leaderboard(silent=True)
    if regression:
        mean = model.predict(test).to_numpy(float)
        found = np.stack([mean, np.full(len(mean), -board["score_val"].iloc[0])], 1)
    else:
        found = model.predict_proba(test)[sorted(learn["answer"].unique())].to_numpy()
        found = found / found.sum(1, keepdims=True)  # sums of single precision
np.save(folder / "found.npy", found)
print(json.dumps({"cpu": cpu, "version": __version__, "models": board["model"].tolist()}))
'''


def install() -> None:
    "Fill the folder."
    subprocess.run([sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target",
                    str(FOLDER), *PACKAGES], check=True)


def missing() -> str | None:
    "Why AutoGluon cannot take part; None if it can."
    if (FOLDER / "autogluon").is_dir():
        return None
    return "AutoGluon is not installed: run `python -m benchmarks.search.tasks --install`"


def frame(X: np.ndarray | pd.DataFrame) -> pd.DataFrame:
    "The columns with names."
    return (X if isinstance(X, pd.DataFrame)
            else pd.DataFrame(X, columns=[f"x{i}" for i in range(X.shape[1])]))


def autogluon(table: Table, seconds: float) -> Fitted:
    "AutoGluon for at most `seconds` of wall clock; it has a seed of its own."
    path = os.pathsep.join([str(FOLDER), os.environ.get("PYTHONPATH", "")])
    env = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
    with tempfile.TemporaryDirectory() as folder:
        learn, test = map(frame, table.raw)
        learn.assign(answer=table.y[0]).to_csv(Path(folder) / "learn.csv", index=False)
        test.to_csv(Path(folder) / "test.csv", index=False)
        command = [sys.executable, "-W", "ignore", "-c", WORKER, folder,
                   str(int(table.regression)), str(seconds)]
        done = subprocess.run(command, env=env, cwd=folder, capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(f"AutoGluon failed: {done.stderr.strip()[-600:]}")
        found, told = np.load(Path(folder) / "found.npy"), json.loads(done.stdout.splitlines()[-1])
    answer = (found[:, 0], found[:, 1]) if table.regression else found
    return Fitted(lambda: answer, {k: told[k] for k in ("version", "models")}, told["cpu"])
