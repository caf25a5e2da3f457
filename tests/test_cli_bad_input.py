"""Bad input at the command line: one line that names value, limit and remedy, exit code 2, nothing
half-written."""
import errno
import json
import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bstruct.use import cli, runs
from bstruct.model import Graph

ROOT = Path(__file__).resolve().parent.parent
pytestmark = pytest.mark.usefixtures("plain_figures")
SHORT = ("--hidden 4 --candidates linear+tanh linear+relu --epochs 3 --min-steps 0 --starts 1 "
         "--finalists 2 --replicas 1 --blocks 2 --samples 4 --tempering 1.0").split()


def refused(capsys, args, *parts):
    "Run the command; assert that it is refused in one line that says all of `parts`."
    capsys.readouterr()
    assert cli.main([str(a) for a in args]) == 2
    out, err = capsys.readouterr()
    assert err.count("\n") == 1 and err.startswith("bstruct: "), err
    assert not [p for p in parts if p not in err], err
    return out


def rows(n=12, **columns):
    "A good table as CSV text, with columns replaced."
    table = {"a": [i / 2 for i in range(n)], "b": list(range(n)),
             "t": ["yes" if i % 2 else "no" for i in range(n)]} | columns
    return "\n".join([",".join(table), *(
        ",".join(map(str, r)) for r in zip(*table.values(), strict=True))]) + "\n"


TABLES = {
    "empty table": ("a,b,t\n", ["no rows", "2 are the least"]),
    "empty file": ("", ["the file is empty", "2 rows"]),
    "one row": ("a,b,t\n1,2,yes\n", ["has 1 row", "2 are the least", "add rows"]),
    "one class": (rows(t=["yes"] * 12), ["target 't' is 'yes' in all 12 rows",
                                         "choose another --target"]),
    "constant target": (rows(t=[1.5] * 12), ["target 't' is 1.5 in all 12 rows",
                                             "2 values are the least"]),
    "missing value": (rows(b=["", *range(11)]), ["'b' has 1 missing values", "row 1", "--impute"]),
    "NaN": (rows(a=[0.0, "nan", *range(10)]), ["'a' has 1 missing values", "row 2", "--impute"]),
    "infinity": (rows(a=[0.0, 1.0, "inf", *range(9)]),
                 ["'a' is infinite in row 3", "remove the row"]),
    "stray text": (rows(b=[*range(11), "n/a?"]),
                   ["'b' is numeric but for 'n/a?' in row 12", "--categorical b"]),
    "cut line": (rows()[:-6], ["line 13 has 2 fields, the header has 3", "complete"]),
    "no target column": (rows().replace("a,b,t", "a,b,tt", 1), ["no column 't'", "'tt'"]),
}


@pytest.mark.parametrize("name", TABLES)
def test_a_bad_table(name, tmp_path, capsys):
    text, parts = TABLES[name]
    (tmp_path / "t.csv").write_text(text)
    refused(capsys, ["fit", tmp_path / "t.csv", "--target", "t", "--out", tmp_path / "run", *SHORT],
            *parts)
    assert [f.name for f in tmp_path.iterdir()] == ["t.csv"]


FILES = {
    "t.csv": (b"\x89PNG\r\n\x1a\n\x00\xff\xfe", "cannot be read as .csv"),
    "t.csv.gz": (b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03cut", "cannot be read as .csv.gz"),
    "t.parquet": (b"PAR1 cut", "cannot be read as .parquet"),
    "t.npz": (b"PK\x03\x04 cut", "cannot be read as .npz"),
    "t.xlsx": (b"PK", ".xlsx"),
    "t.sas7bdat": (b"", "files of kind .sas7bdat are not read"),
}


@pytest.mark.parametrize("name", FILES)
def test_a_truncated_or_foreign_file(name, tmp_path, capsys):
    (tmp_path / name).write_bytes(FILES[name][0])
    refused(capsys, ["fit", tmp_path / name, "--target", "t", "--out", tmp_path / "run"],
            FILES[name][1])
    assert [f.name for f in tmp_path.iterdir()] == [name]


FLAGS = {
    "--mode greddy": ["mode is 'greddy'", "known are"],
    "--temperature -1 0.2": ["temperature is (-1.0, 0.2)", "above 0"],
    "--epochs 0": ["epochs is 0", "at least 1"],
    "--structure-kl gumble": ["structure_kl is 'gumble'", "did you mean 'gumbel'"],
    "--candidates linear+rel": ["linear+rel"],
    "--test-size 2": ["test share of 2.0", "--test-size"],
    "--test-size 0.5 --test iris": ["--test or from --test-size", "leave one out"],
    "--test nowhere.csv": ["nowhere.csv", "neither a file"],
    "--task rank": ["unknown task 'rank'", "there are 'classification', 'regression'"],
    "--target specis": ["no column 'specis'"],
    "--drop sepal": ["no column 'sepal'"],
    "--categorical petals": ["no column 'petals'"],
    "--device gpu": ["--device gpu", "use cpu"],
    "--graph nowhere.json": ["nowhere.json: No such file"],
    "--jobs 0": ["--jobs 0", "at least 1", "try --jobs 2"],
    "--compare evidens": ["compare is 'evidens'", "did you mean 'evidence'"],
    "--budget 5": ["budget is 5", "mode 'evidence' has no use for it", "try mode='enumerate'"],
    "--mode enumerate --budget 0": ["budget is 0", "at least 1"],
}


@pytest.mark.parametrize("flags", FLAGS)
def test_a_bad_flag(flags, tmp_path, capsys):
    refused(capsys, ["fit", "iris", "--out", tmp_path / "run", *flags.split()], *FLAGS[flags])
    assert list(tmp_path.iterdir()) == []


def test_a_bad_graph(tmp_path, capsys):
    good = Graph.dense(4, 3, hidden=(5, 5), candidates=("zero", "linear+tanh")).to_dict()
    cycle = good | {"edges": [
        *good["edges"], {"source": "h2", "target": "h1", "candidates": ["zero"]}]}
    for content, part in [(json.dumps(cycle), "cycle"), (json.dumps(good)[:40], "cut off"),
                          ('{"a": 1}', "not a graph of bstruct"),
                          (json.dumps(good).replace("linear+tanh", "linear+thna"), "linear+thna"),
                          (Graph.dense(7, 3, hidden=(5,)).to_json(),
                           "takes 7 numbers a row, the encoded table has 4")]:
        (tmp_path / "g.json").write_text(content)
        refused(capsys, ["fit", "iris", "--graph", tmp_path / "g.json", "--out", tmp_path / "run",
                         *SHORT], "g.json" if
                "takes 7" not in part else "graph", part)
        assert [f.name for f in tmp_path.iterdir()] == ["g.json"]


RENAMES = []


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    "A finished run on a small table."
    folder = tmp_path_factory.mktemp("finished")
    (folder / "t.csv").write_text(rows(24))
    args = ["fit", str(folder / "t.csv"), "--target", "t", "--out", str(folder / "run"), "--quiet",
            *SHORT]
    rename, RENAMES[:] = os.replace, []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "replace", lambda a, b: (RENAMES.append(b), rename(a, b))[1])
        assert cli.main(args) == 0
    return folder


@pytest.fixture
def run(finished, tmp_path):
    "A copy of it."
    shutil.copytree(finished / "run", tmp_path / "run")
    return tmp_path / "run"


def snapshot(folder):
    return {f.relative_to(folder): f.read_bytes() for f in folder.rglob("*") if f.is_file()}


def test_out_that_is_taken(finished, run, capsys):
    before = snapshot(run)
    args = ["fit", finished / "t.csv", "--target", "t", "--out", run, *SHORT, "--quiet"]
    refused(capsys, args, "holds a run already", "--overwrite")
    refused(capsys, [*args, "--overwrite", "--drop", "c"], "no column 'c'")
    graph = Graph.dense(3, 1, hidden=(4,), candidates=("linear+tanh", "linear"), domain="cube")
    (run.parent / "cube.json").write_text(graph.to_json())
    refused(capsys, [*args, "--overwrite", "--mode", "grow", "--graph", run.parent / "cube.json"],
            "takes 3 numbers a row", "the encoded table has 2")
    assert snapshot(run) == before
    assert cli.main([*map(str, args), "--overwrite"]) == 0
    (run.parent / "other").mkdir()
    (run.parent / "other/thesis.tex").write_text("years")
    for overwrite in ([], ["--overwrite"]):
        refused(capsys, ["fit", "iris", "--out", run.parent / "other", *overwrite],
                "no bstruct run", "another --out")
    refused(capsys, ["fit", "iris", "--out", run.parent / "other/thesis.tex"], "is a file")
    assert snapshot(run.parent / "other") == {Path("thesis.tex"): b"years"}


def test_other_columns_at_predict(run, tmp_path, capsys):
    for text, parts in [(rows().replace("a,b,t", "A,b,t", 1),
                         ["column 'a' is missing", "did you mean 'A'"]),
                        (rows(b=["x", *range(11)]), ["'b' is numeric but for 'x' in row 1"]),
                        (rows(a=[""] * 12), ["every row has a missing value", "--impute"])]:
        (tmp_path / "p.csv").write_text(text)
        refused(capsys, ["predict", run, tmp_path / "p.csv", "--out", tmp_path / "out.csv"], *parts)
        assert not (tmp_path / "out.csv").exists()


USED = {
    "missing target": (rows(t=["yes", "no", "", *["yes"] * 9]),
                       "1 of 12 rows have no target, the first in row 3; left out"),
    "duplicate column": (rows().replace("a,b,t", "a,a,t", 1), "column 2 is called 'a.2'"),
    "semicolons": (rows().replace(",", ";"), "separated by semicolons"),
}


@pytest.mark.parametrize("name", USED)
def test_a_table_that_is_used_as_it_is(name, tmp_path, capsys):
    (tmp_path / "t.csv").write_text(USED[name][0])
    args = ["fit", tmp_path / "t.csv", "--target", "t", "--out", tmp_path / "run", *SHORT]
    assert cli.main([str(a) for a in args]) == 0
    assert USED[name][1] in capsys.readouterr().err


def test_rows_to_predict_that_are_not_whole(run, tmp_path, capsys):
    for text, part in [(rows(a=["", *range(11)]), "1 rows have missing values, the first row 1"),
                       (rows(t=["perhaps", *["yes"] * 11]),
                        "a class of 't' that training never saw"),
                       (rows(t=[""] * 12), "no row has a 't' that can be compared")]:
        (tmp_path / "p.csv").write_text(text)
        assert cli.main(["predict", str(run), str(tmp_path / "p.csv")]) == 0
        out, err = capsys.readouterr()
        assert part in err and len(out.splitlines()) == 13


def test_a_damaged_run(run, tmp_path, capsys):
    (run / "settings.json").write_text("{")
    for command in ("show", "resume"):
        refused(capsys, [command, run], "settings.json", "damaged")
    (run / "settings.json").unlink()
    refused(capsys, ["predict", run, "iris"], "no run folder")


def test_damaged_weights_are_named(run, finished, capsys):
    for file in (run / "model").iterdir():
        whole = file.read_bytes()
        file.write_bytes(whole[:len(whole) // 2])
        refused(capsys, ["predict", run, finished / "t.csv"], file.name)
        file.write_bytes(whole)


def test_a_torn_last_record_is_reported_and_resumed(run, finished, capsys):
    journal = run / "journal.jsonl"
    result = json.loads((run / "result.json").read_text())
    journal.write_bytes(journal.read_bytes()[:-10])
    (run / "result.json").unlink()
    capsys.readouterr()
    assert cli.main(["show", str(run)]) == 0
    out, err = capsys.readouterr()
    assert "not finished" in out and "last record was torn" in err
    assert cli.main(["resume", str(run)]) == 0
    assert "last record was torn" in capsys.readouterr().err
    again = json.loads((run / "result.json").read_text())
    assert again["ranking"] == result["ranking"] and "torn" in again["notes"][0]
    assert runs.Journal(journal).torn is None


def test_a_journal_damaged_in_the_middle_is_refused(run, capsys):
    lines = (run / "journal.jsonl").read_text().splitlines(keepends=True)
    (run / "journal.jsonl").write_text("".join([lines[0], "{\n", *lines[1:]]))
    refused(capsys, ["resume", run], "line 2", "damaged")


@pytest.mark.parametrize("share", [0, 0.2, 0.5, 0.8, 1])
def test_a_disk_that_fills_up(share, finished, tmp_path, capsys, monkeypatch):
    """A share of the renames find room, and then none does; whatever is there is whole, and the
    run goes on."""
    rename, count, after = os.replace, iter(range(1000)), int(share * (len(RENAMES) - 1))

    def replace(a, b):
        if next(count) >= after:
            raise OSError(errno.ENOSPC, "No space left on device", str(b))
        return rename(a, b)

    args = ["fit", finished / "t.csv", "--target", "t", "--out", tmp_path / "run", *SHORT,
            "--quiet"]
    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", replace)
        refused(capsys, args, "No space left on device", "make room")
    left = snapshot(tmp_path)
    assert not [f for f in left if f.suffix in (".part", ".old")]
    if after == 0:
        assert left == {}
        return
    for name, content in left.items():
        if name.suffix == ".json":
            json.loads(content)
    assert cli.main(["resume", str(tmp_path / "run"), "--quiet"]) == 0
    ours, theirs = (json.loads((f / "run/result.json").read_text()) for f in (tmp_path, finished))
    assert ours["ranking"] == theirs["ranking"] and ours["probabilities"] == theirs["probabilities"]


def test_a_file_that_may_not_grow(finished, tmp_path):
    "The kernel itself refuses to write: no file may pass 3 kB, which the journal does."
    args = ["fit", finished / "t.csv", "--target", "t", "--out", tmp_path / "run", *SHORT,
            "--epochs", "60", "--quiet"]
    done = subprocess.run([sys.executable, "-B", "-m", "bstruct.use.cli", *map(str, args)],
                          cwd=ROOT, capture_output=True, text=True,
                          preexec_fn=lambda: resource.setrlimit(
                              resource.RLIMIT_FSIZE, (3000, 3000)))
    assert done.returncode == 2 and done.stderr.count("\n") == 1, done.stderr
    assert "File too large" in done.stderr and "make room" in done.stderr
    assert runs.Journal(tmp_path / "run/journal.jsonl").torn is None
    assert not [f for f in snapshot(tmp_path) if f.suffix in (".part", ".old")]


def test_a_run_in_use(run, finished, capsys):
    with runs.held(run):
        args = ["fit", finished / "t.csv", "--target", "t", "--out", run, "--overwrite", *SHORT]
        refused(capsys, args, "being written by process", "since 20")


def test_predicting_with_an_unfinished_run(run, capsys):
    (run / "result.json").unlink()
    refused(capsys, ["predict", run, "iris"], "has not finished", "bstruct resume")


def test_a_graph_with_the_wrong_output_costs_no_former_run(tmp_path, capsys):
    out = tmp_path / "run"
    assert cli.main(["fit", "iris", "--out", str(out), *SHORT]) == 0
    before = sorted((f.name, f.read_bytes()) for f in out.iterdir() if f.is_file())
    (tmp_path / "g.json").write_text(Graph.dense(4, 2, hidden=(3,)).to_json())
    args = ["fit", "iris", "--graph", tmp_path / "g.json", "--out", out, "--overwrite", *SHORT]
    refused(capsys, args, "output 'y' gives 2 numbers a row, the target needs 3",
            "change its shape")
    assert before == sorted((f.name, f.read_bytes()) for f in out.iterdir() if f.is_file())
