"""What people report of programs of this kind, one test a report, by its name: tables as they come,
and faults of disks, processes and files. Each says what is right; none needs a file from elsewhere.
"""
import contextlib
import fcntl
import gzip
import io
import json
import os
import resource
import shutil
import signal
import warnings
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.ensemble import AdaBoostClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline

from bstruct import StructureClassifier, StructureRegressor
from bstruct.core import locks
from bstruct.evidence import GaussianPrior, estimate, referee
from bstruct.model import Graph
from bstruct.search.work.tiles import Book
from bstruct.use import cli, flow
from bstruct.use.estimators import load
from bstruct.use.table.encoder import TableEncoder

FAST = ("--hidden 3 --candidates linear linear+relu --epochs 1 --min-steps 10 --starts 1 "
        "--finalists 1 --replicas 1 --blocks 1 --samples 2 --tempering 1.0 --screened "
        "1 --judge prequential").split()
TINY = dict(hidden=(3,), candidates=("linear", "linear+relu"), epochs=1, min_steps=10, starts=1,
            finalists=1, replicas=1, samples=2, tempering=(1.0,), screened=2,
            judge="prequential", random_state=0)


pytestmark = pytest.mark.usefixtures("plain_figures")


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def run(*args) -> tuple[int, str, str]:
    "Exit code, output and errors of a command."
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = cli.main([str(a) for a in args])
    return code, out.getvalue(), err.getvalue()


def fit(data, *args, out="run", fast=FAST):
    return run("fit", data, "--out", out, *args, *fast)


def a_table(n=60) -> pd.DataFrame:
    "A number, a code, a truth value, and a class that depends on all of them."
    rng = np.random.default_rng(0)
    x, g, b = rng.normal(size=n), rng.integers(1, 4, n), rng.random(n) > 0.5
    return pd.DataFrame({"x": x, "g": g, "b": b,
                         "y": np.where(x + (g == 2) * 2 + b > 0.7, "yes", "no")})


def rows_of(n=80, seed=0):
    "Three columns of noise, and classes by the first."
    X = np.random.default_rng(seed).normal(size=(n, 3))
    return X, (X[:, 0] > 0).astype(int)


# --- tables

def test_01_categorical_int_hole_at_predict():
    "An empty cell in a declared column of codes changes its own row only."
    table = a_table()
    table.to_csv("train.csv", index=False)
    assert fit("train.csv", "--target", "y", "--categorical", "g")[0] == 0
    new = table.head(6).drop(columns="y")
    new.to_csv("whole.csv", index=False)
    new.astype({"g": "Int64"}).assign(g=lambda f: f.g.mask(f.index == 5)).to_csv(
        "hole.csv", index=False)
    whole, hole = run("predict", "run", "whole.csv"), run("predict", "run", "hole.csv", "--impute")
    assert whole[0] == hole[0] == 0
    assert whole[1].splitlines()[:6] == hole[1].splitlines()[:6]


def test_02_categorical_int_hole_in_training():
    "A column of codes with a hole in training has the levels of a whole one at prediction."
    table = a_table().astype({"g": "Int64"})
    table.loc[3, "g"] = pd.NA
    table.to_csv("train.csv", index=False)
    assert fit("train.csv", "--target", "y", "--categorical", "g", "--impute")[0] == 0
    pd.DataFrame({"x": [0.0] * 3, "g": [1, 2, 3], "b": [True] * 3}).to_csv("new.csv", index=False)
    code, out, err = run("predict", "run", "new.csv")
    assert code == 0 and len({line.split(",")[1] for line in out.splitlines()[1:]}) == 3, err


def test_03_bool_column_hole_at_predict():
    table = a_table()
    table.to_csv("train.csv", index=False)
    assert fit("train.csv", "--target", "y")[0] == 0
    new = table.head(6).drop(columns="y").astype({"b": object})
    new.loc[5, "b"] = np.nan
    new.to_csv("new.csv", index=False)
    code, out, err = run("predict", "run", "new.csv", "--impute")
    assert code == 0 and len(out.splitlines()) == 7, err


@pytest.mark.parametrize("unit", [1e-13, 1e13])
def test_04_feature_in_tiny_units(unit):
    "Farad, coulomb and mole: the answer does not depend on the unit."
    X, y = rows_of()
    a, b = (StructureClassifier(**TINY).fit(X * s, y).predict_proba(X * s) for s in (1.0, unit))
    np.testing.assert_allclose(a, b, atol=1e-4)  # float32 after a division by another scale


def test_06_numpy_integers_as_parameters():
    X, y = rows_of(30)
    for more in ({"epochs": np.int64(1)}, {"hidden": tuple(np.array([3, 3]))},
                 {"hidden": np.array([3])}, {"learning_rate": np.float32(0.02)}):
        StructureClassifier(**(TINY | more)).check(X, y)
    grid = GridSearchCV(StructureClassifier(**TINY), {"epochs": np.arange(1, 2)}, cv=2,
                        error_score="raise")
    assert grid.fit(X, y).best_params_ == {"epochs": 1}


def test_07_predict_file_with_empty_or_new_labels():
    "Predictions are wanted, whatever the column of the target holds."
    table = a_table()
    table.to_csv("train.csv", index=False)
    assert fit("train.csv", "--target", "y")[0] == 0
    for label, said in ([np.nan] * 6, "no row has a 'y'"), (["yes", np.nan] * 3, "accuracy"), (
            ["maybe"] * 6, "a class of 'y' that training never saw"):
        table.head(6).assign(y=label).to_csv("new.csv", index=False)
        code, out, err = run("predict", "run", "new.csv")
        assert code == 0 and len(out.splitlines()) == 7 and said in err, err
    table.head(6).drop(columns="y").to_csv("new.csv", index=False)
    assert run("predict", "run", "new.csv")[0] == 0


def test_08_r_row_names():
    "The first field of the header is empty, as write.csv of R has it."
    Path("r.csv").write_text('"","mpg","wt"\n' + "".join(
        f'"car {i}",{20 + i % 7},{2 + i % 5}\n' for i in range(30)))
    code, _, err = fit("r.csv", "--target", "mpg")
    assert code == 0 and "names of the rows" in err, err
    assert [c["name"] for c in json.loads(Path("run/encoder.json").read_text())["fitted"]] == ["wt"]


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_09_dates(kind):
    "A column of dates carries trend and season."
    days = pd.date_range("2015-01-01", periods=100, freq="5D")
    y = 10 + np.arange(100) * 0.2 + 5 * np.sin(2 * np.pi * days.day_of_year / 365)
    table = pd.DataFrame({"when": days, "y": y})
    table.to_csv("d.csv", index=False) if kind == "csv" else table.to_parquet("d.parquet")
    code, _, err = fit(f"d.{kind}", "--target", "y")
    assert code == 0 and "when: dates" in err, err


def test_10_more_than_100_levels():
    rng = np.random.default_rng(0)
    pd.DataFrame({"town": [f"town{i}" for i in rng.integers(0, 150, 600)],
                  "y": rng.normal(size=600)}).to_csv("t.csv", index=False)
    code, _, err = fit("t.csv", "--target", "y")
    assert code == 0 and "different texts" in err and "commonest" in err, err


def test_11_na_and_none_are_levels():
    "Namibia's code, and a house without veneer."
    Path("c.csv").write_text("country,x,y\n" + "".join(
        f"{['NA', 'DE', 'FR'][i % 3]},{i},{'ab'[(i // 3) % 2]}\n" for i in range(60)))
    Path("n.csv").write_text("x,y\n" + "".join(
        f"{i},{['None', 'mild', 'severe'][i % 3]}\n" for i in range(60)))
    assert fit("c.csv", "--target", "y", "--impute", "--categorical", "country", out="a")[0] == 0
    assert json.loads(Path("a/encoder.json").read_text())["levels"] == {
        "country": ["DE", "FR", "NA"]}
    assert fit("n.csv", "--target", "y", out="b")[0] == 0
    assert load("b/model").classes_.tolist() == ["None", "mild", "severe"]


def test_14_sample_weight_and_class_weight():
    X, y = rows_of(40)
    StructureClassifier(**TINY, class_weight="balanced").fit(X, y, sample_weight=np.ones(40))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        boosted = AdaBoostClassifier(
            StructureClassifier(**TINY), n_estimators=2, random_state=0).fit(X, y)
    assert np.isfinite(boosted.predict_proba(X)).all()


def test_15_sparse_input():
    words = make_pipeline(TfidfVectorizer(token_pattern=r"\w+"), StructureClassifier(**TINY))
    words.fit(["a bc d", "bc bc", "zz a", "zz zz"] * 5, [0, 0, 1, 1] * 5)
    assert words.predict_proba(["a zz"]).shape == (1, 2)


def test_17_text_frame_in_python():
    "A frame of numbers, words and a hole goes into the estimator, and through a pipeline."
    X, y = rows_of(40)
    table = pd.DataFrame(X, columns=list("abc")).assign(e=np.where(X[:, 0] > 0.5, "long", "short"))
    table.loc[3, "b"] = np.nan
    assert StructureClassifier(**TINY).fit(table, y).predict(table).shape == (40,)
    both = make_pipeline(TableEncoder(impute=True), StructureClassifier(**TINY))
    assert len(cross_val_score(both, table, y, cv=2, error_score="raise")) == 2


def test_18_torch_default_dtype_float64():
    X, y = rows_of()
    plain = StructureClassifier(**TINY).fit(X, y).predict_proba(X)
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        wide = StructureClassifier(**TINY).fit(X, y).predict_proba(X)
        assert torch.get_default_dtype() == torch.float64
    finally:
        torch.set_default_dtype(before)
    np.testing.assert_array_equal(plain, wide)


def test_19_seed_decides_the_fit():
    "A hundred rows as of airquality: whatever the seed, near a ridge on rows apart, or a note."
    rng = np.random.default_rng(1)
    X = rng.normal(size=(140, 3))
    y = X @ [2.0, -1.0, 0.0] + np.exp(0.5 * X[:, 0]) + rng.normal(size=140)
    train, apart = slice(0, 100), slice(100, None)
    ridge = Ridge().fit(X[train], y[train]).score(X[apart], y[apart])
    for seed in (0, 1):
        model = StructureRegressor(hidden=(4,), candidates=("linear+tanh",), random_state=seed,
                                   min_steps=150).fit(X[train], y[train])
        assert model.score(X[apart], y[apart]) > ridge - 0.1 or any(
            "poor fit" in note for note in model.notes_), (seed, ridge)


def test_21_far_from_the_data():
    "Beyond the rows of the fit nothing is cut to a constant, and the deviation grows."
    rng = np.random.default_rng(0)
    x = rng.normal(size=(100, 1))
    y = 3 * x[:, 0] + 0.1 * rng.normal(size=100)
    model = StructureRegressor(**(TINY | {"candidates": ("linear",), "min_steps": 100})).fit(x, y)
    mean, deviation = model.predict(np.array([[0.0], [6.0], [600.0]]), return_std=True)
    assert mean[2] > 10 * mean[1] and deviation[2] > deviation[1] > deviation[0]
    assert model.far(np.array([[0.0], [6.0], [600.0]])).tolist() == [False, True, True]


def test_23_semicolons():
    Path("s.csv").write_text("a;b;y\n" + "".join(f"{i};{i % 5};{'ab'[i % 2]}\n"
                                                 for i in range(40)))
    code, _, err = fit("s.csv", "--target", "y")
    assert code == 0 and "separated by semicolons" in err, err


def test_24_random_state_lost_on_save():
    X, y = rows_of(30)
    StructureClassifier(**(TINY | {"random_state": np.int64(3)})).fit(X, y).save("m")
    assert load("m").random_state == 3


def test_28_upper_case_gz():
    with gzip.open("T.CSV.GZ", "wt") as file:
        file.write("x,y\n" + "".join(f"{i},{'ab'[i % 2]}\n" for i in range(30)))
    assert fit("T.CSV.GZ", "--target", "y")[0] == 0


# --- faults

def test_column_1e308():
    "What a message says of a column is so; none advertises another library."
    Path("t.csv").write_text("a,b,y\n" + "".join(
        f"{'1e308' if i == 0 else i},{i},{i % 2}\n" for i in range(20)))
    code, out, err = fit("t.csv", "--target", "y")
    assert code == 0 or ("'a'" in err and "1e+308" in err), err
    assert "HistGradientBoosting" not in out + err and "NaN" not in out + err


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    "A finished run on iris."
    home = tmp_path_factory.mktemp("finished")
    assert fit("iris", "--quiet", out=home / "run")[0] == 0
    return home / "run"


def a_copy(finished) -> Path:
    shutil.copytree(finished, "run")
    return Path("run")


def test_encoder_damaged(finished):
    "A key that is gone is one line that names the file."
    home = a_copy(finished)
    for name, key, command in (
            ("encoder.json", "levels", "predict"), ("encoder.json", "fitted", "predict"),
            ("settings.json", "facts", "predict"), ("settings.json", "device", "predict"),
            ("result.json", "ranking", "show"), ("result.json", "evidence", "show")):
        whole = (home / name).read_text()
        record = json.loads(whole)
        del record[key]
        (home / name).write_text(json.dumps(record))
        code, _, err = run(command, home, *(["iris"] if command == "predict" else []))
        assert code == 2 and name in err and err.count("\n") == 1, (name, key, err)
        (home / name).write_text(whole)


def test_evidence_error_over_seeds():
    "Of the evidences of six seeds at least half lie within two stated errors of their mean."
    rng = np.random.default_rng(1)
    X, y = rng.normal(size=(60, 2)), rng.normal(size=60)
    how = dict(hidden=(3,), epochs=1, min_steps=20, starts=1, screened=2, finalists=1,
               candidates=("linear", "linear+tanh"), tempering=(1.0,), samples=2,
               judge="prequential")
    told = [StructureRegressor(random_state=s, **how).fit(X, y).evidence_ for s in range(6)]
    value, error = np.array([[e.value, e.stderr] for e in told]).T
    assert (np.abs(value - value.mean()) < 2 * error).mean() >= 0.5, (value, error)


def graph_file(x, h, y, first, last) -> str:
    return json.dumps({"format": "bstruct.graph", "version": 1, "vertices": [
        {"name": n, "shape": s} for n, s in (("x", x), ("h", h), ("y", y)) if s], "edges": [
            {"source": a, "target": b, "candidates": c} for a, b, c in (
                [("x", "h", first), ("h", "y", last)] if h else [("x", "y", first)])]})


def test_graph_conv_hang():
    "Three hundred bytes ask for 10¹² places: refused at once."
    Path("g.json").write_text(graph_file([1, 10**12], None, [1, 7], ["conv1d"], None))
    begun = os.times().user
    assert run("graph", "g.json")[0] == 2 and os.times().user - begun < 2


def test_graph_types():
    "A graph file of wrong types is a ValueError and nothing else."
    good = json.loads(graph_file([2], None, [1], ["linear", "zero"], None)) | {"domain": "simplex"}
    for vertex in good["vertices"]:
        vertex["aggregation"] = "sum"
    for path in (("vertices", 0, "name"), ("vertices", 0, "shape"), ("vertices", 0, "aggregation"),
                 ("edges", 0, "source"), ("edges", 0, "candidates"), ("edges", 0, "candidates", 0),
                 ("domain",), ("vertices",), ("edges",)):
        for value in (None, 5, 1.5, True, [], [1], {}, {"a": 1}, "q"):
            own = json.loads(json.dumps(good))
            at = own
            for key in path[:-1]:
                at = at[key]
            at[path[-1]] = value
            with contextlib.suppress(ValueError):
                Graph.from_json(json.dumps(own))


@pytest.mark.parametrize("mode", ["evidence", "grow", "shrink", "enumerate"])
def test_graph_width_1e9(mode):
    "Refused in one line, before memory is taken, and no folder is left."
    Path("g.json").write_text(graph_file([4], [10**9], [3], ["zero", "linear"],
                                         ["linear", "linear+relu"]))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    code, _, err = run("fit", "iris", "--graph", "g.json", "--mode", mode, "--out", mode)
    assert code == 2 and err.count("\n") == 1 and not Path(mode).exists(), err
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 2**18  # 256 MB in kB


def test_inside_no_grad():
    X, y = rows_of(40)
    with torch.no_grad():
        inside = StructureClassifier(**TINY).fit(X, y).predict_proba(X)
    np.testing.assert_array_equal(inside, StructureClassifier(**TINY).fit(X, y).predict_proba(X))


def test_journal_flipped_digit():
    header = {"journal": "enumeration", "data": "d"}
    book = Book(Path("j"), header)
    book.add({"0/0": {"evidence": {"value": -10.5}}, "0/1": {"evidence": {"value": -11.5}}})
    Path("j").write_bytes(Path("j").read_bytes().replace(b"-11.5", b"-12.5"))
    with pytest.raises(ValueError, match="j: line 3 of 3 is damaged"):
        Book(Path("j"), header)


def killed(work) -> None:
    "Do the work in a child that kills itself."
    pid = os.fork()
    if pid == 0:
        with contextlib.suppress(BaseException):
            work()
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -9


def dies_at(module, name, when):
    "Replace a function of a module by one that kills this process where `when(*args)`."
    real = getattr(module, name)

    def deadly(*args, **more):
        if when(*args):
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*args, **more)
    setattr(module, name, deadly)


def test_kill_before_settings():
    "Killed before the settings have their name: the same command begins again."
    def work():
        dies_at(os, "replace", lambda a, b: str(b).endswith("settings.json"))
        fit("iris")
    killed(work)
    code, _, err = fit("iris")
    assert code == 0, err


def test_kill_during_overwrite(finished):
    "Killed while the old run is removed: the same command works again, and a run is there."
    a_copy(finished)

    def work():
        dies_at(os, "unlink", lambda path, *_: str(path).endswith("encoder.json"))
        fit("iris", "--overwrite")
    killed(work)
    code, _, err = fit("iris", "--overwrite")
    assert code == 0 and run("show", "run")[0] == 0, err


def test_labels_above_2_53():
    "Three whole numbers that float64 cannot tell apart are three classes."
    Path("t.csv").write_text("a,y\n" + "".join(f"{i},{2**53 + i % 3}\n" for i in range(30)))
    code, _, err = fit("t.csv", "--target", "y")
    assert code == 0 and load("run/model").classes_.tolist() == [2**53 + i for i in range(3)], err


@pytest.mark.parametrize("rate", [1e2, 1e10, 1e308])
def test_nan_predictions(rate):
    "A rate that blows up ends in an error, in a note, or in numbers."
    X, y = rows_of(24)
    model = StructureClassifier(**(TINY | {"learning_rate": rate}))
    try:
        assert np.isfinite(model.fit(X, y).predict_proba(X)).all()
    except ValueError as error:
        assert "learning_rate" in str(error)


def interrupted() -> Path:
    "A run that was killed after its first epoch."
    def work():
        def told(self, record, names):
            os.kill(os.getpid(), signal.SIGKILL)
        flow.Progress.__call__ = told
        fit("iris")
    killed(work)
    return Path("run")


def test_run_of_later_version():
    "A setting that this version does not know is one line."
    home = interrupted()
    settings = json.loads((home / "settings.json").read_text())
    settings["search"]["new_field"] = 1
    settings.pop("sha256", None)
    (home / "settings.json").write_text(json.dumps(settings))
    code, _, err = run("resume", home)
    assert code == 2 and err.count("\n") == 1 and "new_field" in err, err


def test_smc_with_torch_distributions():
    "A likelihood as everybody writes it works with every estimator."
    x = torch.linspace(-1, 1, 12, dtype=torch.float64)
    y, prior = torch.sin(2 * x), GaussianPrior({"w": (1,)}, precision=1.0)

    def log_likelihood(w):
        return torch.distributions.Normal(torch.tanh(x * w["w"]), 0.5).log_prob(y).sum()
    few = {"smc": {"particles": 32}, "variational": {"steps": 50}}
    for method in ("mixture", "smc", "variational", "laplace"):
        more = few.get(method, {})
        told = estimate(log_likelihood, prior, method=method,
                        generator=torch.Generator().manual_seed(0), **more)
        assert np.isfinite(told.value) and "nan" not in str(told), method
    assert np.isfinite(referee(log_likelihood, prior,
                               generator=torch.Generator().manual_seed(0)).value)


def brief(real, path, timeout, **more):
    "A lock that is waited for a hundredth of what is said."
    return real(path, timeout=timeout / 100, **more)


def test_stopped_holder(finished, monkeypatch):
    "Who waits for a process that was stopped says so after a stated time."
    home = a_copy(finished)
    (home / "result.json").unlink()
    monkeypatch.setattr(locks, "FileLock", partial(brief, locks.FileLock))
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        with open(home / "journal.jsonl") as file, open(home / ".journal.jsonl.lock", "a") as lock:
            fcntl.flock(file, fcntl.LOCK_EX), fcntl.flock(lock, fcntl.LOCK_EX)
            os.write(write, b".")
            os.kill(os.getpid(), signal.SIGSTOP)
        os._exit(0)
    os.read(read, 1)
    try:
        code, out, err = run("show", home)
        assert code in (0, 2) and (code == 0 or "is being written by" in err), (out, err)
        code, _, err = run("resume", home, "--quiet")
        assert code == 2 and "being written by process" in err and "(waited 30 s)" in err, err
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def test_symlink_lock():
    "A lock that is a link elsewhere leaves that file as it is."
    home, victim = interrupted(), Path("victim")
    victim.write_text("precious")
    (home / ".lock").unlink()
    (home / ".lock").symlink_to(victim.absolute())
    code, _, err = run("resume", home, "--quiet")
    assert victim.read_text() == "precious" and code == 2 and "symbolic link" in err


def test_terminal_escape():
    name = "x\x1b]0;owned\x07"
    Path("g.json").write_text(json.dumps({"format": "bstruct.graph", "version": 1, "vertices": [
        {"name": name, "shape": [1]}, {"name": "y", "shape": [1]}], "edges": [
            {"source": name, "target": "y", "candidates": ["linear"]}]}))
    _, out, err = run("graph", "g.json")
    assert "\x1b" not in out + err and "\x07" not in out + err


@pytest.mark.parametrize("share", ["inf", "nan"])
def test_test_size_inf(share):
    code, _, err = fit("iris", "--test-size", share)
    assert code == 2 and "--test-size" in err and err.count("\n") == 1


def test_tiny_units():
    "A regression in another unit says the same."
    X = np.random.default_rng(0).normal(size=(60, 3))
    y = 2 * X[:, 0]
    a, b = (StructureRegressor(**(TINY | {"min_steps": 40})).fit(X * s, y).predict(X * s)
            for s in (1.0, 1e-13))
    np.testing.assert_allclose(a, b, atol=1e-3)
