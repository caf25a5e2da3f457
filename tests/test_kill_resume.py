"""A run that is killed again and again ends with the result of a run that nobody touched."""
import multiprocessing
import os
import random
import time

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from bstruct.core.sealed import read_record, sealed
from bstruct.model.ordered import ordered
from bstruct.objectives.task import Task
from bstruct.search.modes.widths import widths_mode
from bstruct.search.settings import Settings
from bstruct.use import cli

ARGS = ("--test-size 0.3 --hidden 8 --candidates linear+tanh linear+relu zero --epochs 40 "
        "--min-steps 0 --starts 2 --finalists 3 --replicas 2 --blocks 2 --samples 8 --batch-size "
        "32 --quiet").split()
MODES = {"evidence": [], "grow": ["--epochs", "12"], "shrink": ["--epochs", "12"],
         "enumerate": "--epochs 12 --hidden 8 8 --candidates linear+tanh linear+relu "
                      "linear+sin zero".split()}
LONGEST = 240
# imports once what a fit needs, without the hook that checks annotations
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["bstruct.use.cli", "bstruct.use.predicting", "bstruct.use.page",
                               "bstruct.use.table.streamed", "sklearn.ensemble",
                               "torch.fx.experimental.symbolic_shapes"])


def start(*args):
    process = FORKS.Process(target=cli.main, args=([str(a) for a in args],))
    process.start()
    return process


def epochs(run):
    journal = run / "journal.jsonl"
    return journal.read_bytes().count(b"\n") if journal.exists() else 0


def killed(process, run, more, pause):
    """Kill the process once the journal has `more` new epochs, and a pause after; False where it
    ended before."""
    before, deadline = epochs(run), time.monotonic() + LONGEST
    while process.is_alive() and epochs(run) < before + more:
        assert time.monotonic() < deadline, "no epoch for too long"
        time.sleep(0.005)
    time.sleep(pause)
    alive = process.is_alive()
    process.kill()
    process.join()
    return alive


def ended(process):
    process.join(LONGEST)
    return process.exitcode == 0


def outcome(run):
    """All of the result but the clock, and the weights. The seal covers the clock as well: it must
    fit its file, and that of the rest is compared."""
    assert '"sha256": "' in (run / "result.json").read_text()
    result = read_record(run / "result.json")  # ValueError where the seal does not fit
    result["history"] = [{k: v for k, v in r.items() if k != "seconds"} for r in result["history"]]
    weights = {f.name: load_file(f) for f in (run / "model").glob("*.safetensors")}
    return result, weights


@pytest.mark.parametrize("mode", MODES)
def test_killed_at_random_moments_and_resumed(mode, tmp_path):
    whole, torn = tmp_path / "whole", tmp_path / "torn"
    args = ["fit", "iris", "--mode", mode, *ARGS, *MODES[mode]]
    assert ended(start(*args, "--out", whole))
    total, random_ = epochs(whole), random.Random(mode)
    jobs = ["--jobs", "2"] if mode == "enumerate" else []
    process, kills = start(*args, *jobs, "--out", torn), 0
    tries = 2 if jobs else 3  # each start of two processes takes as long as many epochs
    for _ in range(tries):
        kills += killed(process, torn, random_.randrange(1, total // 2), random_.uniform(0, 0.05))
        process = start("resume", torn, "--quiet")
    assert ended(process)
    assert kills >= 2, f"only {kills} of {tries} kills came in time"
    (ours, our_weights), (theirs, their_weights) = outcome(torn), outcome(whole)
    ours["notes"] = theirs["notes"] = []  # they tell of a torn record
    assert ours == theirs and sealed(ours) == sealed(theirs)
    assert our_weights.keys() == their_weights.keys() and len(our_weights) > 0
    for name, tensors in their_weights.items():
        assert all((our_weights[name][k] == v).all() for k, v in tensors.items())  # to the bit
    assert not (torn / "checkpoint").exists()
    assert (torn / "ranking.csv").read_bytes() == (whole / "ranking.csv").read_bytes()


def walked(file, walk):
    "A walk over the widths of one layer."
    rng = np.random.default_rng(0)
    x = rng.uniform(-2, 2, (40, 1))
    y = np.tanh(6 * x[:, 0] + 6) - np.tanh(6 * x[:, 0] - 6) + 0.1 * rng.standard_normal(40)
    task = Task(torch.tensor(x), torch.tensor(y), "gaussian")
    return widths_mode(ordered(1, 1, ("1..3:poisson:1",)), task, Settings(), 3, file, walk=walk)


@pytest.mark.parametrize("walk", ("path", "flow"))
def test_a_walk_over_widths_is_killed_and_goes_on(walk, tmp_path):
    file, random_ = tmp_path / "checkpoint", random.Random(walk)
    process, deadline = FORKS.Process(target=walked, args=(file, walk)), time.monotonic() + LONGEST
    process.start()
    while not file.exists():
        assert time.monotonic() < deadline and process.is_alive(), "no checkpoint"
        time.sleep(0.005)
    time.sleep(random_.uniform(0, 0.3))
    assert process.is_alive(), "the walk ended before it was killed"
    process.kill()
    process.join()
    rest, whole = walked(file, walk), walked(None, walk)
    values = [[(r.structure, r.evidence, r.probability) for r in found.ranking]
              for found in (rest, whole)]
    assert values[0] == values[1]
    at = torch.linspace(-2, 2, 9)[:, None].double()
    assert torch.equal(rest.mixture.predict(at)[0], whole.mixture.predict(at)[0])
