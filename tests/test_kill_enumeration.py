"""An enumeration that is killed at any moment, shared by several processes or cut into other
batches ranks the same."""
import json
import multiprocessing
import os
import random
import time

import pytest
import torch
from torch import Generator

from bstruct.model.candidates import Candidate, candidate
from bstruct.model.graph import Graph
from bstruct.search.modes.enumeration import enumerate_structures
from bstruct.model.reach import network_of
from bstruct.search.work.forecast import SPARE, fit_bytes
from bstruct.search.settings import Settings
from bstruct.objectives.task import Task

NAMES = ("zero", "linear", "linear+relu", "linear+tanh", "linear+sin")
GRAPH = Graph.dense(3, 2, (16, 16), NAMES)  # 125 structures, 105 networks, 4 tiles
SETTINGS = Settings(mode="enumerate", epochs=4, min_steps=20, starts=2, tempering=(1.0, 0.1),
                    batch_size=32)
FORK, SPAWN = (multiprocessing.get_context(name) for name in ("fork", "spawn"))
LONGEST = 120


def task():
    "Two classes on either side of a wave."
    g = Generator().manual_seed(0)
    x = torch.randn(96, 3, generator=g)
    return Task(x, (x[:, 1] > torch.sin(2 * x[:, 0])).long(), "categorical")


def ranking(journal=None, n_jobs=1, **options):
    return enumerate_structures(GRAPH, task(), settings=SETTINGS, journal=journal, n_jobs=n_jobs,
                                seed=5, **options)


def table(found):
    "Everything that a ranking says of its structures."
    return [{**r, "evidence": r["evidence"].to_dict()} for r in found.rows]


@pytest.fixture(scope="module")
def whole():
    "The ranking of a run that nobody touched."
    return table(ranking())


def rows(path):
    return path.read_bytes().count(b"\n") if path.exists() else 0


def started(path, n_jobs=1):
    # a fork would inherit the workers that other tests left behind
    context = FORK if n_jobs == 1 else SPAWN
    process = context.Process(target=ranking, args=(path, n_jobs))
    process.start()
    return process


def killed(process, path, more, pause):
    """Kill -9 once the journal has `more` new lines, and a pause after; False where the process
    ended before."""
    before, deadline = rows(path), time.monotonic() + LONGEST
    while process.is_alive() and rows(path) < before + more:
        assert time.monotonic() < deadline, "no row for too long"
        time.sleep(0.002)
    time.sleep(pause)
    alive = process.is_alive()
    process.kill()
    process.join()
    return alive


def check(path, whole):
    """The journal is complete, each structure has one row, and the ranking is that of the
    untouched run."""
    records = [json.loads(line) for line in path.read_text().splitlines()[1:]]
    keys = [r["key"] for r in records if "structure" in r]
    assert sorted(keys) == sorted(f"0/{i}" for i in range(GRAPH.n_structures))
    before = path.read_bytes()
    assert table(ranking(path)) == whole
    assert path.read_bytes() == before


def test_killed_at_random_moments_and_resumed(whole, tmp_path):
    path, moments, kills = tmp_path / "journal", random.Random(1), 0
    for more in (0, 1, 2, 2, 2):
        kills += killed(started(path), path, more, moments.uniform(0, 0.06))
    last = started(path)
    last.join(LONGEST)
    assert last.exitcode == 0 and kills >= 3
    check(path, whole)


def test_shared_by_two_processes_one_of_which_is_killed(whole, tmp_path):
    path = tmp_path / "journal"
    first, second = started(path), started(path)
    assert killed(first, path, 3, 0.05)
    third = started(path)
    for process in (second, third):
        process.join(LONGEST)
        assert process.exitcode == 0
    check(path, whole)


def test_the_journal_may_be_cut_anywhere(whole, tmp_path):
    path, complete = tmp_path / "journal", tmp_path / "complete"
    ranking(complete)
    data, moments = complete.read_bytes(), random.Random(2)
    for at in (moments.randrange(len(data)) for _ in range(2)):
        path.write_bytes(data[:at])
        assert table(ranking(path)) == whole
        check(path, whole)


def state(pid):
    "State and parent of a process; nothing of one that is gone."
    try:
        with open(f"/proc/{pid}/stat") as file:
            letter, parent = file.read().rsplit(")", 1)[1].split()[:2]
    except OSError:
        return "X", 0
    return letter, int(parent)


def children(pid):
    return [int(p) for p in os.listdir("/proc") if p.isdigit() and state(p)[1] == pid]


def alive(pid):
    return state(pid)[0] not in "XZ"


def test_two_workers_killed_with_their_parent_and_resumed_by_two_others(whole, tmp_path):
    path = tmp_path / "journal"
    process = started(path, n_jobs=2)
    deadline = time.monotonic() + LONGEST
    while rows(path) < 3 and process.is_alive() and time.monotonic() < deadline:
        time.sleep(0.002)
    workers = children(process.pid)
    process.kill()
    process.join()
    assert len(workers) >= 2 and rows(path) < 2 + GRAPH.n_structures
    assert table(ranking(path, n_jobs=2)) == whole
    check(path, whole)
    deadline = time.monotonic() + LONGEST
    while any(alive(w) for w in workers):
        assert time.monotonic() < deadline, "workers outlive their parent"
        time.sleep(0.05)


@pytest.mark.parametrize("batch", [7, 19])
def test_smaller_batches_rank_the_same(whole, batch, monkeypatch):
    plan = SETTINGS.fit_plan(len(task()))
    room = int(1.001 * fit_bytes(GRAPH, task(), plan, batch) / SPARE)
    monkeypatch.setattr("bstruct.search.work.forecast.available_memory", lambda device="cpu": room)
    found = ranking()
    assert found.forecast.batch == batch and table(found) == whole


def test_names_of_one_network_agree(whole):
    names = {}
    for row in whole:
        names.setdefault(network_of(GRAPH, row["structure"]), set()).add(row["evidence"]["value"])
    assert len(names) == 105 and all(len(values) == 1 for values in names.values())


def test_a_killed_worker_is_told_and_the_rest_is_kept(tmp_path):
    path, parent = tmp_path / "journal", os.getpid()

    def deadly(weights, x, out):
        if os.getpid() != parent:
            os.kill(os.getpid(), 9)
        return x @ weights["weight"] + weights["bias"]

    names = (*NAMES, Candidate("deadly_to_workers", candidate("linear").weights, deadly))
    graph = Graph({"x": 3, "h": 16, "y": 2}, {"x->h": names, "h->y": names})
    run = lambda n_jobs: enumerate_structures(graph, task(), settings=SETTINGS, journal=path,
                                              n_jobs=n_jobs, seed=5, order="given")
    with pytest.raises(ChildProcessError, match="a worker process was killed, .* the same journal "
                                                "and less than n_jobs=2"):
        run(2)
    assert len(run(1)) == 36
