"""Whole runs at the command line: what they compute, what they leave behind, and how they go on."""
import hashlib
import io
import json
import os
import re
import signal
import tempfile
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import bstruct
from bstruct.use import cli, flow
from bstruct.use.table.data import load_table

SHORT = ("--hidden 4 --candidates linear+tanh linear+relu --epochs 3 --min-steps 0 --starts 1 "
         "--finalists 2 --replicas 1 --blocks 2 --samples 4 --tempering 1.0").split()
plain = pytest.mark.usefixtures("plain_figures")


def call(*args):
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = cli.main([str(a) for a in args])
    return code, out.getvalue(), err.getvalue()


@pytest.fixture(scope="module")
def iris_run():
    "A finished run on two thirds of iris, and the file of the rest."
    folder = Path(tempfile.mkdtemp())
    table = load_table("iris")
    frame = table.X.assign(kind=table.y)
    frame[::3].to_csv(folder / "test.csv", index=False)
    frame.drop(frame.index[::3]).to_csv(folder / "iris.csv", index=False)
    args = ["fit", folder / "iris.csv", "--target", "kind", "--test", folder / "test.csv", "--out",
            folder / "run"]
    args += SHORT
    code, out, err = call(*args)
    assert code == 0, err
    return folder, args, out


def test_a_run_is_what_python_computes(iris_run):
    from bstruct.use.estimators import StructureClassifier
    folder, _, out = iris_run
    code, predicted, notes = call("predict", folder / "run", folder / "test.csv")
    learn, test = (pd.read_csv(folder / name) for name in ("iris.csv", "test.csv"))
    X, Z = (t.iloc[:, :4].to_numpy() for t in (learn, test))  # the estimator standardises, too
    settings = json.loads((folder / "run/settings.json").read_text())["search"]
    settings.pop("c_comb")  # no mode of the estimators uses it
    model = StructureClassifier(**settings, random_state=0).fit(X, learn.kind.to_numpy(dtype=str))
    found = pd.read_csv(io.StringIO(predicted))
    # trained in float32; standardising twice changes the last digits of the rows
    np.testing.assert_allclose(found.iloc[:, 1:], model.predict_proba(Z), atol=1e-4)
    assert found.prediction.tolist() == model.predict(Z).tolist()
    assert f"accuracy {(found.prediction == test.kind).mean():.4f}" in notes and code == 0
    assert all(c in out for c in ("classification", "log evidence", "complexity", "test, 50 rows",
                                  "report.html"))


def test_a_run_folder_is_whole(iris_run):
    run = iris_run[0] / "run"
    names = {f.relative_to(run).as_posix() for f in run.rglob("*")}
    assert {"settings.json", "journal.jsonl", "encoder.json", "result.json", "report.html"} < names
    figures = ("structure", "probabilities", "trace", "ranking", "calibration")
    ranking = json.loads((run / "result.json").read_text())["ranking"]
    table = pd.read_csv(run / "ranking.csv", index_col="rank")
    assert table.index.tolist() == [1, 2, 3, 4]
    assert sorted(table["name"].dropna()) == ["constant", "linear model"]
    assert table["x->h1"].dropna().tolist() == [r["structure"]["x->h1"] for r in ranking
                                                if r["structure"]]
    np.testing.assert_allclose(table["log_evidence"], [r["log_evidence"] for r in ranking])
    assert {f"figures/{f}.{kind}" for f in figures for kind in ("png", "svg")} < names
    assert not [n for n in names if n.endswith((".part", ".old", "checkpoint"))]
    settings = json.loads((run / "settings.json").read_text())
    assert settings["seed"] == 0 and settings["versions"]["bstruct"] == bstruct.__version__
    assert len(settings["facts"]["fingerprint"]) == 64 and settings["facts"]["rows"] == 100
    assert (run / "report.html").read_text().count("<img ") == 5


def test_show_and_resume_say_what_was_found(iris_run):
    run = iris_run[0] / "run"
    code, out, err = call("show", run)
    assert code == 0 and out in iris_run[2] and err == ""
    code, again, err = call("resume", run)
    assert code == 0 and again == out and "has finished" in err
    page = (run / "report.html").read_bytes()
    (run / "report.html").unlink()
    assert call("show", run, "--overwrite")[0] == 0 and (run / "report.html").read_bytes() == page
    assert call("show", run, "--seed", 0, "--mode", "evidence")[0] == 0
    assert "--seed 1 is not this run's, which is 0" in call("show", run, "--seed", 1)[2]
    assert "and 3 more" in call("show", run, "--top", 1)[1]
    assert "--top 0: at least 1" in call("show", run, "--top", 0)[2]


def test_predictions_go_to_a_file_once(iris_run):
    folder = iris_run[0]
    args = ["predict", folder / "run", folder / "test.csv", "--out", folder / "p.csv", "--quiet"]
    assert call(*args) == (0, "", "")
    assert len(pd.read_csv(folder / "p.csv")) == 50
    code, _, err = call(*args)
    assert code == 2 and "p.csv exists; choose another --out, or --overwrite it" in err
    assert call(*args, "--overwrite") == (0, "", "")


@plain
def test_interrupted_keeps_the_best_and_goes_on(iris_run, monkeypatch):
    folder, args, _ = iris_run
    run, calls = folder / "stopped", []

    def heard(self, record, names):
        calls.append(record)
        if len(calls) == 2:
            os.kill(os.getpid(), signal.SIGINT)

    again = [run if a == folder / "run" else a for a in args]
    with monkeypatch.context() as patch:
        patch.setattr(flow.Progress, "__call__", heard)
        code, out, err = call(*again)
    assert code == 130 and "go on with bstruct resume" in err and "interrupted" in out
    assert (run / "checkpoint").exists()
    assert json.loads((run / "result.json").read_text())["interrupted"]
    assert call("predict", run, folder / "test.csv")[0] == 0
    code, out, _ = call("resume", run)
    assert code == 0 and not (run / "checkpoint").exists()
    assert out.replace("stopped", "run") == iris_run[2]


@plain
def test_changed_data_are_not_resumed(iris_run, monkeypatch):
    folder, args, _ = iris_run
    run, data = folder / "changed", folder / "iris.csv"
    monkeypatch.setattr(flow.Progress, "__call__", lambda *_: os.kill(os.getpid(), signal.SIGINT))
    call(*[run if a == folder / "run" else a for a in args])
    before = data.read_text()
    data.write_text("\n".join(before.splitlines()[:-1]) + "\n")
    code, _, err = call("resume", run)
    data.write_text(before)
    shas = [hashlib.sha256(t.encode()).hexdigest()[:12]
            for t in (before, "\n".join(before.splitlines()[:-1]) + "\n")]
    assert code == 2 and "has changed since the run began" in err and all(s in err for s in shas)


@plain
@pytest.mark.parametrize("mode", ["grow", "shrink"])
def test_a_walk_leaves_its_path(mode, iris_run, monkeypatch):
    folder = iris_run[0]
    monkeypatch.chdir(folder)
    code, out, err = call("fit", "iris.csv", "--target", "kind", "--mode", mode, *SHORT)
    run = folder / f"runs/iris-{mode}"  # where it goes if nobody says
    assert code == 0 and "report: " in out and (run / "report.html").exists(), err
    result = json.loads((run / "result.json").read_text())
    assert len(pd.read_csv(run / "path.csv")) == len(result["path"]) > 0
    assert (run / "figures/path.svg").exists()
    assert f"{len(result['path'])} looked at" in out and result["path"][0]["what"] == "start"
    page = (run / "report.html").read_bytes()
    assert b"<h2>The path</h2>" in page
    assert call("show", run, "--overwrite")[0] == 0 and (run / "report.html").read_bytes() == page
    code, text, _ = call("predict", run, "test.csv")
    assert code == 0 and len(pd.read_csv(io.StringIO(text))) == 50


WIDE = "--mode enumerate --hidden 4 4 --candidates zero linear+tanh linear+relu --budget 14".split()


@plain
def test_an_enumeration_ranks_the_quick_answers(iris_run, monkeypatch):
    folder = iris_run[0]
    monkeypatch.chdir(folder)
    short = [a for a in SHORT if a not in ("--hidden", "4", "--candidates", "linear+tanh",
                                           "linear+relu")]
    args = ["fit", "iris.csv", "--target", "kind", *WIDE,
            *"--samples 4 --compare evidence grow shrink --jobs 2".split()]
    short.remove("--samples")
    code, out, err = call(*args, *short, "--out", "all")
    assert code == 0, err
    # three of 14 are networks of others
    assert "fits: 11 structures, 11 at a time in each of 2 processes: " in err
    assert re.search(r"\d [kM]B of ", err) and ", about " in err
    assert "Of 27 structures, 14 of them compared by evidence" in out
    result = json.loads(Path("all/result.json").read_text())
    ranking, answers = result["ranking"], {a["mode"]: a for a in result["answers"]}
    assert len(ranking) == 16 and list(answers) == ["evidence", "grow", "shrink"]
    assert sum(not r["structure"] for r in ranking) == 2  # the constant and the linear model
    edges = next(r["structure"] for r in ranking if r["structure"])
    for mode, a in answers.items():
        wanted = {e: a["structure"][e] for e in edges}
        ranks = [i for i, r in enumerate(ranking, 1) if r["structure"] == wanted] or [None]
        assert a["rank"] == ranks[0]
        assert (f"{mode}: rank {ranks[0]} of 16" if ranks[0] else f"{mode}: none of these") in out
    page = Path("all/report.html").read_text()
    assert "Where do the answers of quicker searches stand?" in page and "rank of 16" in page
    assert {"ranks.svg", "pareto.svg"} <= {f.name for f in Path("all/figures").iterdir()}
    assert len(pd.read_csv("all/ranking.csv")) == 16
    assert not list(Path("all").glob("checkpoint.evidence"))
    code, top, _ = call("show", "all", "--top", 10)
    assert code == 0 and "and 6 more" in top and "\n  10  " in top and "\n  11  " not in top
    assert call(*args, *short, "--jobs", 1, "--compare", "evidence", "--out", "one",
                "--quiet")[0] == 0
    assert Path("one/ranking.csv").read_bytes() == Path("all/ranking.csv").read_bytes()


class Gone(BaseException):
    "Nothing that anybody handles: as good as a kill."


@plain
def test_an_unfinished_enumeration_says_how_far_it_is(iris_run, monkeypatch):
    folder = iris_run[0]
    monkeypatch.chdir(folder)

    def torn(self, record, names):
        if record["stage"] == "fits" and record["structures"][0] >= records:
            raise Gone

    monkeypatch.setattr(flow.Progress, "__call__", torn)
    for records, words in ((0, "(fits, 0 of 14 structures)"),
                           (14, "(fits, 14 of 14 structures, best log evidence -")):
        with pytest.raises(Gone):
            call("fit", "iris.csv", "--target", "kind", *SHORT, *WIDE, "--out", f"torn{records}",
                 "--quiet")
        assert f"not finished {words}" in call("show", f"torn{records}")[1]
    monkeypatch.undo()
    assert call("resume", folder / "torn0", "--quiet")[0] == call("resume", folder / "torn14",
                                                                  "--quiet")[0] == 0
    assert (folder / "torn0/ranking.csv").read_bytes() == (
        folder / "torn14/ranking.csv").read_bytes()


def test_a_repulsion_from_nothing_costs_no_former_run(iris_run):
    folder, args, _ = iris_run
    before = {f: f.read_bytes() for f in (folder / "run").rglob("*") if f.is_file()}
    code, _, err = call(*args, "--overwrite", "--c-comb", 1)
    assert code == 2 and "no structure to keep away from" in err and err.count("\n") == 1
    assert {f: f.read_bytes() for f in (folder / "run").rglob("*") if f.is_file()} == before
