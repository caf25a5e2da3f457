"""Killed before every single file operation, one after the other: the next command works, and what
was whole stays whole.

The operations are not sampled. A process that has done everything but the search itself counts
them: opening for writing, writing, flushing, cutting, renaming, exchanging, making and removing. It
is killed before the first, before the second, and so on, until it comes to its end. In CI a share
of the points is taken; all of them under `slow`.
"""
import copy
import json
import os
import shutil
import signal
import sys
import traceback
from pathlib import Path

import pytest
import torch

from bstruct.core import files
from bstruct.core.checkpoint import Checkpoint
from bstruct.use import estimators, report
from bstruct.use.cli import main
from bstruct.use.estimators import load
from bstruct.use.flow import prepare, search_run
from bstruct.use.runs import RunFolder, next_of, refuse_taken, settled

FAST = ("--hidden 3 --candidates linear linear+relu --epochs 1 --min-steps 2 --starts 1 "
        "--finalists 1 --replicas 1 --blocks 1 --samples 2 --tempering 1.0 --screened "
        "1 --quiet").split()
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    "A small run, and what its parts need to be made again without a search."
    folder = tmp_path_factory.mktemp("made")
    text = "a,b,t\n" + "".join(f"{i % 7},{i % 5},{'yes' if i % 3 else 'no'}\n" for i in range(24))
    (folder / "t.csv").write_text(text)
    found, real = {}, estimators.search
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(report, "figures", lambda *_: {})
        patch.setattr(estimators, "search",
                      lambda *a, **more: found.setdefault("result", real(*a, **more)))
        assert main(["fit", str(folder / "t.csv"), "--target", "t", "--out", str(folder / "run"),
                     *FAST]) == 0
    settings = RunFolder(folder / "run").settings
    return {"folder": folder, "settings": settings, "prepared": prepare(settings["data"], 0),
            "result": found["result"]}


def quick_search(result):
    "What a search writes, without its work."
    def search(graph, task, settings, seed, checkpoint, report, n_jobs, seconds):
        kept = Checkpoint(checkpoint, "the same", every=0.0)
        for epoch in (1, 2):
            report({"stage": "search", "epoch": epoch, "epochs": 2, "elbo": -1.5,
                    "probabilities": {}})
            kept.save("search", {"x": torch.ones(epoch)})
        return copy.deepcopy(result)
    return search


class Ops:
    "Counts file operations below a folder, and kills this process before the one of a number."

    def __init__(self, root: Path, last: int | None):
        self.root, self.last, self.count = str(root), last, 0

    def __call__(self) -> None:
        if self.count == self.last:
            os.kill(os.getpid(), signal.SIGKILL)
        self.count += 1

    def hook(self, event, args):
        if event == "open":
            named = isinstance(args[0], str | os.PathLike) and self.root in str(args[0])
            wanted = named and isinstance(args[2], int) and args[2] & WRITING
        else:
            wanted = event in ("os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.truncate",
                               "os.link")
        if wanted:
            self()

    def install(self) -> None:
        sys.addaudithook(self.hook)
        for name in ("write", "fsync"):
            real = getattr(os, name)
            setattr(os, name, lambda *a, real=real: (self(), real(*a))[1])
        exchange = files._exchanged
        files._exchanged = lambda a, b: (self(), exchange(a, b))[1]


def in_child(work, root: Path, last: int | None = None) -> tuple[int, str]:
    "Whether the work was killed (9) or failed (1), and why it failed."
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            sys.stdout = sys.stderr = open(os.devnull, "w")
            ops = Ops(root, last)
            if last is not None:
                ops.install()
            work()
            code = 0
        except BaseException:
            os.write(write, traceback.format_exc()[-3000:].encode())
        finally:
            os._exit(code)
    os.close(write)
    said = b"".join(iter(lambda: os.read(read, 1 << 16), b"")).decode()
    os.close(read)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return (9 if status == -9 else status), said


def begin(made, run: Path, overwrite: bool):
    started = RunFolder.start(run, made["settings"], overwrite)
    search_run(started, made["prepared"], None, True)


def go_on(made, run: Path):
    "What a user does next: resume where there is a run, begin where there is none."
    try:
        latest = RunFolder.latest(run)
    except ValueError:
        refuse_taken(settled(run), False)
        return begin(made, run, False)
    if not (latest.folder / "result.json").exists():
        search_run(latest, made["prepared"], None, True)


def whole(run: Path) -> bool:
    "Whether the run at that place has ended and every file of it can be read."
    home = RunFolder(settled(run))
    names = {f.name for f in home.folder.iterdir()}
    return ({"model", "encoder.json", "ranking.csv", "report.html", "result.json"} <= names
            and not home.read("result.json")["interrupted"]
            and bool(home.read("encoder.json")["fitted"])
            and load(home.folder / "model").n_features_in_ == 2)


def points(share: int, slow: bool):
    "All numbers in the slow test, one of `share` in CI; the caller ends the walk."
    return range(0, 100_000, 1 if slow else share)


def walk(made, tmp_path, monkeypatch, before: bool, first, slow: bool, share: int,
         lay=None) -> int:
    """Kill `first` at point after point, and go on each time; how many points there were. `lay` puts
    into the folder what was there before."""
    monkeypatch.setattr(estimators, "search", quick_search(made["result"]))
    monkeypatch.setattr(report, "figures", lambda *_: {})
    killed = 0
    for last in points(share, slow):
        home = tmp_path / f"at{last}"
        home.mkdir()
        run = home / "run"
        if before:
            shutil.copytree(made["folder"] / "run", run)
        if lay:
            lay(run)
        code, said = in_child(lambda: first(run), home, last)
        assert code in (0, 9), f"point {last}: the command failed: {said}"
        if before and code == 9:
            assert in_child(lambda: whole(run) or os._exit(3),
                            home)[0] == 0, f"point {last}: no whole run is left"
        code_after, said = in_child(lambda: go_on(made, run), home)
        assert code_after == 0, f"point {last}: the next command failed: {said}"
        assert whole(run), f"point {last}"
        left = [f for f in home.rglob("*") if f.suffix in (".part", ".old") or f == next_of(run)]
        assert not left, f"point {last} leaves {left}"
        shutil.rmtree(home)
        if code == 0:
            return killed
        killed += 1
    raise AssertionError("the command came to no end")


SLOW = [pytest.param(False), pytest.param(True, marks=pytest.mark.slow)]


@pytest.mark.parametrize("slow", SLOW)
def test_a_fit_killed_anywhere(slow, made, tmp_path, monkeypatch, record_property):
    killed = walk(made, tmp_path, monkeypatch, False, lambda run: begin(made, run, False), slow,
                9)
    assert killed > 4
    record_property("inputs", killed)


@pytest.mark.parametrize("slow", SLOW)
def test_an_overwriting_fit_killed_anywhere(slow, made, tmp_path, monkeypatch, record_property):
    killed = walk(made, tmp_path, monkeypatch, True, lambda run: begin(made, run, True), slow, 11)
    assert killed > 4
    record_property("inputs", killed)


@pytest.mark.parametrize("slow", SLOW)
def test_an_overwriting_fit_without_the_systems_exchange(slow, made, tmp_path, monkeypatch,
                                                         record_property):
    monkeypatch.setattr(files, "_exchanged", lambda *_: False)
    killed = walk(made, tmp_path, monkeypatch, True, lambda run: begin(made, run, True), slow, 13)
    assert killed > 4
    record_property("inputs", killed)


@pytest.mark.parametrize("slow", SLOW)
def test_a_resumed_run_killed_anywhere(slow, made, tmp_path, monkeypatch, record_property):
    def halfway(run):
        shutil.copytree(made["folder"] / "run", run)
        (run / "result.json").unlink()

    def resumed(run):
        search_run(RunFolder.latest(run), made["prepared"], None, True)
    killed = walk(made, tmp_path, monkeypatch, False, resumed, slow, 17, halfway)
    assert killed > 2
    record_property("inputs", killed)


@pytest.mark.parametrize("slow", SLOW)
def test_a_save_killed_anywhere(slow, made, tmp_path, record_property):
    model, killed = load(made["folder"] / "run/model"), 0
    for last in points(2, slow):
        place = tmp_path / f"at{last}" / "model"
        place.parent.mkdir()
        code, _ = in_child(lambda: model.save(place), tmp_path, last)
        assert code in (0, 9)
        if place.exists() and any(place.iterdir()):
            assert load(place).n_features_in_ == 2
        else:
            assert in_child(lambda: model.save(place), tmp_path)[0] == 0
            assert load(place).n_features_in_ == 2
        if code == 0:
            break
        killed += 1
    assert killed > 2
    record_property("inputs", killed)


def test_the_walk_sees_a_fault(made, tmp_path, monkeypatch):
    "A run that is removed before its successor is whole is noticed: the test can fail."
    def rash(run):
        shutil.rmtree(run)
        begin(made, run, False)
    with pytest.raises(AssertionError, match="no whole run is left"):
        walk(made, tmp_path, monkeypatch, True, rash, False, 5)


def changed_bytes(path: Path, every: int):
    data = path.read_bytes()
    for at in range(0, len(data), max(1, len(data) // every)):
        yield at, data[:at] + bytes([data[at] ^ 1]) + data[at + 1:]


@pytest.mark.parametrize("every", [pytest.param(8), pytest.param(120, marks=pytest.mark.slow)])
def test_a_changed_byte_is_refused_with_the_name_of_its_file(every, made, tmp_path, capsys,
                                                             record_property):
    "Of every file that a command reads, and noted of every file that a person reads."
    run = tmp_path / "run"
    shutil.copytree(made["folder"] / "run", run)
    commands = {"settings.json": ["show", run], "result.json": ["show", run],
                "journal.jsonl": ["show", run],
                "encoder.json": ["predict", run, made["folder"] / "t.csv"],
                "model/model.safetensors": ["predict", run, made["folder"] / "t.csv"],
                "checksums.json": ["show", run], "report.html": ["show", run],
                "ranking.csv": ["show", run]}
    inputs = 0
    for name, command in commands.items():
        path = run / name
        whole_file = path.read_bytes()
        for at, data in changed_bytes(path, every):
            inputs += 1
            path.write_bytes(data)
            code = main([str(c) for c in command])
            out, err = capsys.readouterr()
            said = path.name in err or (name == "journal.jsonl" and "journal" in err)
            assert said and (code == 2 or name in ("report.html", "ranking.csv",
                                                   "journal.jsonl")), (name, at, code, err)
        path.write_bytes(whole_file)
    record_property("inputs", inputs)


def test_a_link_in_a_run_folder_is_not_followed(made, tmp_path, capsys):
    run, victim = tmp_path / "run", tmp_path / "victim"
    for name in ("settings.json", "journal.jsonl", ".journal.jsonl.lock", ".lock", "encoder.json",
                 "result.json"):
        shutil.rmtree(run, ignore_errors=True)
        shutil.copytree(made["folder"] / "run", run)
        content = (run / name).read_bytes() if (run / name).exists() else b""
        victim.write_bytes(content or b"precious")
        (run / name).unlink(missing_ok=True)
        (run / name).symlink_to(victim)
        before = victim.read_bytes()
        if name != "result.json":
            (run / "result.json").unlink()
        for command in (["resume", run, "--quiet"], ["predict", run, made["folder"] / "t.csv"]):
            main([str(c) for c in command])
            assert victim.read_bytes() == before, name
        err = capsys.readouterr().err
        assert name in ("encoder.json",) or "symbolic link" in err, (name, err)


def test_the_file_of_test_rows_has_a_fingerprint(made, tmp_path, capsys):
    (tmp_path / "test.csv").write_text("a,b,t\n1,2,yes\n2,3,no\n")
    run = tmp_path / "run"
    assert main(["fit", str(made["folder"] / "t.csv"), "--target", "t", "--test",
                 str(tmp_path / "test.csv"),
                 "--out", str(run), *FAST]) == 0
    (run / "result.json").unlink()
    (tmp_path / "test.csv").write_text("a,b,t\n1,2,no\n2,3,no\n")
    assert main(["resume", str(run), "--quiet"]) == 2
    assert "test rows, has changed" in capsys.readouterr().err
    json.loads((run / "settings.json").read_text())
