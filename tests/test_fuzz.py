"""Thousands of inputs that nobody meant, with a fixed seed: each is used or refused in one line.

Tables, graph files, run folders and settings. What must never come: an exception that is no
ValueError, a hang, a NaN in an answer, a file half-written. CI takes a small share of each; all of
them run under `slow`.
"""
import contextlib
import io
import json
import math
import random
import shutil
import signal
import warnings
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
import torch

from bstruct.model.graph import Graph
from bstruct.objectives.task import Task
from bstruct.search.settings import Settings
from bstruct.search.work.room import forecast_search
from bstruct.use.table.checkup import checkup, cured
from bstruct.use.cli import main
from bstruct.use.table.data import dialect_of, load_table, target_known
from bstruct.use.flow import prepare

FAST = ("--hidden 3 --candidates linear linear+relu --epochs 1 --min-steps 2 --starts 1 "
        "--finalists 1 --replicas 1 --blocks 1 --samples 2 --tempering 1.0 --screened "
        "1 --quiet").split()


class Hang(BaseException):
    pass


@contextlib.contextmanager
def within(seconds: int):
    "Hang after so many seconds of work, and after twenty times as many of the clock."
    def alarm(*_):
        raise Hang
    clocks = {signal.SIGPROF: (signal.ITIMER_PROF, seconds),
              signal.SIGALRM: (signal.ITIMER_REAL, 20 * seconds)}
    before = {s: signal.signal(s, alarm) for s in clocks}
    for timer, limit in clocks.values():
        signal.setitimer(timer, limit)
    try:
        yield
    finally:
        for timer, _ in clocks.values():
            signal.setitimer(timer, 0)
        for number, handler in before.items():
            signal.signal(number, handler)


def share(few: int, many: int):
    return pytest.mark.parametrize(
        "count", [pytest.param(few), pytest.param(many, marks=pytest.mark.slow)])


def one_line(error: BaseException) -> None:
    assert isinstance(error, ValueError | OSError), repr(error)
    assert str(error).strip() and len(str(error)) < 1_000


# --- tables

CELLS = ["", " ", "1", "2.0", "-3", "1e5", "1e308", "-1e-308", "1e999", "inf", "nan", "NA", "None",
         "?", "n/a", "True", "false",
         "red", "blue", "Zürich", "漢", "2020-01-01", "31.12.2019", "12:30", "1,5", "1.234,5", "$3",
         "50%", "007", str(2**63), str(10**40), "0x1f", "1_000", "--", "\x1b[31m", "a" * 300, "'",
         "it's", "=1+1", "\u202e", "+", "-", ".", "e5", "1e"]


def a_table(r: random.Random) -> bytes:
    separator, end = r.choice([",", ";", "\t", "|", " ", ","]), r.choice(["\n", "\r\n", "\n"])
    columns, rows = r.randint(1, 6), r.choice([0, 1, 2, 3, 12, 40])
    kinds = [r.choice(["number", "word", "mixed", "hole", "same", "code", "date"])
             for _ in range(columns)]

    def cell(kind: str) -> str:
        if kind == "mixed" or r.random() < 0.03:
            return r.choice(CELLS)
        return {"number": lambda: repr(round(r.gauss(0, 10 ** r.randint(-9, 9)), 6)),
                "word": lambda: r.choice("abcd"),
                "hole": lambda: r.choice(["", "1"]), "same": lambda: "7",
                "code": lambda: str(r.randint(1, 3)),
                "date": lambda: f"20{r.randint(10, 29)}-0{r.randint(1, 9)}-{r.randint(10, 28)}"}[
                    kind]()

    names = [r.choice(["a", "b", "t", "", "x y", "a", "1", "\x1b]0;q\x07", "ñ"])
             + r.choice(["", str(j)]) for j in range(columns)]
    lines = [] if r.random() < 0.1 else [separator.join(names)]
    for _ in range(rows):
        line = separator.join(cell(k) for k in kinds)
        lines.append(line if r.random() < 0.99 else line + separator * r.randint(1, 2))
    data = (end.join(lines) + r.choice([end, ""])).encode(
        r.choice(["utf-8", "utf-8", "utf-16", "utf-8-sig"]))
    if r.random() < 0.15 and data:
        at = r.randrange(len(data))
        data = r.choice([data[:at], data[:at] + bytes([r.randrange(256)]) + data[at + 1:],
                         data[:at] + b'"' + data[at:]])
    return data


def again_finite(encoder, X) -> None:
    "The rows without holes have finite numbers again."
    holes = encoder.holes(X)
    again = encoder.transform(X[~holes]) if (~holes).any() else np.zeros((0, 0))
    assert np.isfinite(again).all()


def try_table(path: Path, r: random.Random) -> str:
    "Check, cure, prepare and read again; what came of it."
    data = {"source": str(path), "target": r.choice([None, "t", "a", "x1"]), "drop": [],
            "categorical": [],
            "impute": r.random() < 0.5, "test": None,
            "test_size": r.choice([None, None, 0.25, 0.5]), "task": None}
    for finding in checkup(data):
        assert "\n" not in str(finding)
    fixed, _ = cured(data)
    outcome = "refused"
    for each in (data, fixed):
        try:
            found = prepare(each, 0)
        except ValueError as error:
            one_line(error)
            continue
        assert np.isfinite(found.X).all() and len(found.X) == len(found.y) > 1
        dialect = dialect_of(each)
        new = load_table(path, found.facts["target"], labelled=False, dialect=dialect)
        learnt = np.flatnonzero(target_known(new.target, dialect.missing))
        again_finite(found.encoder, new.rows(learnt).X)
        try:
            again_finite(found.encoder, new.X)
        except ValueError as error:  # a row that the fit left out may hold what cannot be read
            one_line(error)
        outcome = "fitted" if each is data else "cured"
    return outcome


@share(60, 3000)
def test_tables(count, tmp_path, record_property):
    r, outcomes = random.Random(1), []
    warnings.simplefilter("ignore")
    for i in range(count):
        path = tmp_path / "t.csv"
        path.write_bytes(a_table(r))
        with within(20):
            try:
                outcomes.append(try_table(path, r))
            except Exception as error:
                raise AssertionError(f"table {i}: {error!r}: "
                                     f"{path.read_bytes()[:300]!r}") from error
    assert len(outcomes) == count and len(set(outcomes)) > 1  # some are used, some are not
    record_property("used", count - outcomes.count("refused"))


# --- graph files

VALUES = [None, True, False, 0, 1, -1, 5, 1.5, 10**9, 10**12, 10**30, float("nan"), float("inf"),
          "", "q", "x", "y", "->", "a/b",
          "linear", "linear+", "+relu", "conv1d", "conv2d:3", "conv1d:-1", "conv1d:x",
          "maxpool:10000000", "dropout", "\x00", "\x1b[1m",
          "é" * 50, [], [1], [0], [2, 3], [10**9, 10**9], ["linear"], ["linear", "linear"], [[1]],
          {}, {"a": 1}, {"family": "cube"}]
GRAPHS = [Graph.dense(3, 2, (4, 4), ("zero", "linear", "linear+relu")).to_dict(),
          Graph.dense(2, 1, (3,), ("linear",)).to_dict(),
          Graph.dense(3, 1, (4,), ("linear", "linear+tanh"), domain="cube").to_dict(),
          {"format": "bstruct.graph", "version": 1,
           "vertices": [{"name": "x", "shape": [1, 9]}, {"name": "y", "shape": [1, 3]}],
           "edges": [{"source": "x", "target": "y", "candidates": ["conv1d", "zero"]}]}]


def places(value, at=()):
    "The paths of all that is in a JSON value."
    yield at
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(
        value, list | tuple) else ()
    for key, part in inner:
        yield from places(part, (*at, key))


def mutated(r: random.Random, value):
    "The value with one to three places changed."
    value = json.loads(json.dumps(value))
    for _ in range(r.choice([1, 1, 1, 2, 3])):
        path = r.choice([p for p in places(value) if p] or [()])
        if not path:
            return r.choice(VALUES)
        parent = value
        for key in path[:-1]:
            parent = parent[key]
        deed = r.random()
        if deed < 0.15:
            del parent[path[-1]]
        elif deed < 0.25 and isinstance(parent, list):
            parent.insert(path[-1], r.choice(VALUES))
        else:
            parent[path[-1]] = r.choice(VALUES)
    return value


@share(150, 2000)
def test_graph_files(count, record_property):
    r, outcomes = random.Random(2), []
    task = Task(torch.randn(8, 3), torch.randn(8), "gaussian")
    for i in range(count):
        text = json.dumps(mutated(r, r.choice(GRAPHS)))
        if r.random() < 0.1:
            at = r.randrange(len(text))
            text = text[:at] + r.choice(["", "}", "[" * 3000, "\x00"]) + text[at + 1:]
        with within(10):
            try:
                graph = Graph.from_json(text)
                graph.to_json()
                forecast_search(graph, task, Settings())
                outcomes.append("used")
            except ValueError as error:
                one_line(error)
                outcomes.append("refused")
            except Exception as error:
                raise AssertionError(f"graph {i}: {error!r}: {text[:400]}") from error
    assert set(outcomes) == {"used", "refused"}
    record_property("used", outcomes.count("used"))


# --- settings

EXTREMES = [None, True, False, 0, 1, -1, 2, 3, 7, 10**6, 10**9, 10**18, 10**40, -(10**9), 0.0, -0.0,
            0.5, 1.0, -1.0, 1e-300, 1e-13, 1e13, 1e300, float("inf"), -float("inf"), float("nan"),
            "", "evidence", "q", "1", "auto", "\x00", (), (1,), (0,), (-1,), (1.0, 0.1),
            (0.0, 0.0), (float("nan"), 1.0), (1, 2, 3), (10**9,), ("linear",), ("linear", "q"),
            ((1,),), [], [1, 2], {}, {"a": 1}, np.int64(2), np.float32(0.5), np.array([4, 4]),
            np.array([]), b"x", object, 1j]


@share(120, 1600)
def test_settings(count, record_property):
    r, outcomes = random.Random(3), []
    names = [f.name for f in fields(Settings)]
    pairs = [(n, v) for n in names for v in EXTREMES]
    r.shuffle(pairs)
    while len(pairs) < count:
        pairs.append((r.choice(names), r.choice(EXTREMES)))
    graph, task = Graph.dense(3, 1, (4,), ("zero", "linear")), Task(
        torch.randn(40, 3), torch.randn(40), "gaussian")
    for name, value in pairs[:count]:
        with within(10):
            try:
                settings = Settings(**{name: value})
                forecast_search(graph, task, settings)
                settings.plan(40), settings.fit_plan(40)
                outcomes.append("used")
            except ValueError as error:
                one_line(error)
                outcomes.append("refused")
            except Exception as error:
                raise AssertionError(f"{name}={value!r}: {error!r}") from error
    assert set(outcomes) == {"used", "refused"}
    record_property("used", outcomes.count("used"))


# --- run folders

@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fuzzed")
    (folder / "t.csv").write_text("a,b,t\n" + "".join(
        f"{i % 7},{'uv'[i % 2]},{'yes' if i % 3 else 'no'}\n" for i in range(24)))
    assert main(["fit", str(folder / "t.csv"), "--target", "t", "--out", str(folder / "run"),
                 *FAST]) == 0
    return folder


def damage(run: Path, r: random.Random) -> str:
    "Do something to one file of a run."
    path = r.choice(sorted(f for f in run.rglob("*") if f.is_file() and "figures" not in f.parts))
    data, deed = path.read_bytes(), r.choice(
        ["flip", "cut", "empty", "json", "json", "swap", "gone", "link", "nul", "deep"])
    if deed in ("flip", "cut", "nul") and data:
        at = r.randrange(len(data))
        path.write_bytes({"flip": data[:at] + bytes([data[at] ^ (1 << r.randrange(8))])
                          + data[at + 1:], "cut": data[:at],
                          "nul": data[:at] + b"\0" + data[at:]}[deed])
    elif deed == "json" and path.suffix == ".json":
        record = json.loads(data)
        record.pop("sha256", None)
        path.write_text(json.dumps(mutated(r, record)))
    elif deed == "swap":
        path.write_bytes(r.choice(sorted(f for f in run.rglob("*") if f.is_file())).read_bytes())
    elif deed == "gone":
        path.unlink()
    elif deed == "link":
        path.unlink()
        path.symlink_to("/etc/hostname")
    elif deed == "deep":
        path.write_text("[" * 100_000)
    else:
        path.write_bytes(b"")
    return f"{deed} {path.name}"


@share(25, 500)
def test_run_folders(count, made, tmp_path, record_property):
    r, codes = random.Random(4), []
    for i in range(count):
        run = tmp_path / "run"
        shutil.copytree(made / "run", run)
        done = damage(run, r)
        command = r.choice([["show", run], ["predict", run, made / "t.csv"],
                            ["predict", run, made / "t.csv", "--quiet"]])
        out, err = io.StringIO(), io.StringIO()
        with within(60), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            codes.append(main([str(c) for c in command]))
        said = err.getvalue()
        assert codes[-1] in (0, 2), (i, done, command[0], said)
        assert "Traceback" not in said and "\x1b" not in said + out.getvalue()
        if codes[-1] == 0 and command[0] == "predict":
            values = [float(v) for line in out.getvalue().splitlines()[1:]
                      for v in line.split(",")[1:]]
            assert values and all(map(math.isfinite, values)), (i, done)
        shutil.rmtree(run)
    assert set(codes) == {0, 2}
    record_property("used", codes.count(0))
