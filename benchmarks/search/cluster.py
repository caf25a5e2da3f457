"""How well does an enumeration of 4096 structures fill a dask cluster of 32 workers? `python -m
benchmarks.search.cluster`.

Digits, and a graph of six edges with four candidates each: 128 tiles of 32 structures. A machine
with 32 cores is not needed. First some tiles, drawn at random, are fitted by this process on one
thread, and so is what no cluster shares: the order by supernets, the choice of the weight of the
KL term, and the posteriors that predict. All in seconds of the processor. A tile that was not
fitted gets the time of one that was, drawn at random.

Then the enumeration itself runs on a cluster of 32 workers, threads of four processes, and a
worker sleeps for the time of its tile in place of fitting it. All else is real: the graph, the
rows and the plan are packed and sent with every tile, the scheduler hands them out, and the
records come back into the journal. So the time on the clock is that of 32 cores, and what two cores
take for the messages of 32 is in it.

The efficiency is the time of one process over 32 times that of the cluster: of the visits, and of
the whole search. Writes cluster.json into results/ beside this file, or into --out. Twelve tiles
take two minutes.
"""
import argparse
import json
import os
import random
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import joblib
import torch

import bstruct.search.work.tiles as tiles
from benchmarks.search import data
from benchmarks.search.__main__ import RESULTS
from benchmarks.search.enumeration import task_of
from benchmarks.store import store
from bstruct.core.checkpoint import Checkpoint
from bstruct.core.isolated import TILE
from bstruct.evidence.core import Evidence
from bstruct.model.graph import Graph
from bstruct.model.usage import parameters
from bstruct.objectives.task import Task
from bstruct.search.modes.enumeration import enumerate_structures
from bstruct.search.modes.kept import add_predictors, best_multiple, visiting_order
from bstruct.search.result import Result, Scored
from bstruct.search.session import Session
from bstruct.search.settings import Settings
from bstruct.training.sides import packed

CANDIDATES = ("linear", "linear+relu", "linear+tanh", "linear+sin")
PROCESSES = 4  # that the threads of the cluster belong to
QUICK = {"epochs": 1, "min_steps": 20, "starts": 1, "replicas": 1, "samples": 4}


def problem(quick: bool) -> tuple[Graph, Task, Settings]:
    "4096 structures of three hidden vertices, or 64 of two."
    table = data.load("digits")
    task = task_of(table.head(200, 100) if quick else table, 0)
    graph = Graph.dense(64, 10, (64,) * (2 if quick else 3), CANDIDATES)
    return graph, task, Settings(mode="enumerate", judge="prequential", **QUICK if quick else {})


def spent(work: Callable[[], Any]) -> tuple[Any, float]:
    "What the work makes, and the seconds of the processor that it takes."
    begin = time.process_time()
    made = work()
    return made, time.process_time() - begin


def tiles_of(graph: Graph) -> list[list]:
    structures = [*graph.structures()]
    return [structures[i:i + TILE] for i in range(0, len(structures), TILE)]


def serial(graph: Graph, task: Task, settings: Settings, scored: list[Scored]) -> dict[str, float]:
    "Seconds of what one process does before and after the visits."
    run = Session(graph, task, replace(settings, starts=min(
        settings.starts, len(set(settings.tempering)))), 0, Checkpoint(None, ""))
    _, order = spent(lambda: visiting_order(run, "supernet", graph.n_structures))
    c_reg, multiple = spent(lambda: best_multiple(run, scored[0].structure))
    rows = [replace(r, c_reg=c_reg, probability=1 / settings.finalists)
            for r in scored[:settings.finalists]]
    result = Result(graph, [], [], [], rows, rows[0].evidence, [])
    _, posterior = spent(lambda: add_predictors(run, result))
    return {"order": order, "multiple": multiple, "posteriors": posterior}


def measured(asked: argparse.Namespace) -> dict:
    "Seconds of some tiles and of the serial parts, and a record of a fit."
    graph, task, settings = problem(asked.quick)
    own = tiles_of(graph)
    some = sorted(random.Random(0).sample(range(len(own)), min(asked.tiles, len(own))))
    work = tiles.Work(graph, task, settings.fit_plan(len(task)), 0, packed(graph))
    tiles.score(work, own[0][:2])  # what torch prepares at its first call
    seconds: dict[str, float] = {}
    rows = []
    for i in some:
        records, seconds[str(i)] = spent(lambda i=i: tiles.score(work, own[i]))
        print(f"tile {i}: {seconds[str(i)]:.2f} s", flush=True)
        rows += [(s, r["evidence"]) for s, r in zip(own[i], records, strict=True)]
    scored = [Scored(s, Evidence.from_dict(e), parameters=parameters(graph, s)) for s, e in rows]
    scored.sort(key=lambda r: -r.evidence.value)
    return {"measured": seconds, "serial": serial(graph, task, settings, scored),
            "record": {"evidence": rows[0][1]}}


def asleep(told: dict, record: dict) -> None:
    "In a worker process: sleep in place of fitting."
    def score(work, structures):
        time.sleep(told[json.dumps(structures[0])])
        return [record] * len(structures)

    tiles.score = score


def scheduled(asked: argparse.Namespace, seconds: list[float], record: dict) -> float:
    "Seconds on the clock of the enumeration by a cluster whose workers sleep."
    from distributed import Client, LocalCluster

    graph, task, settings = problem(asked.quick)
    told = {json.dumps(t[0]): s for t, s in zip(tiles_of(graph), seconds, strict=True)}
    with (LocalCluster(n_workers=PROCESSES, threads_per_worker=asked.workers // PROCESSES,
                       processes=True, dashboard_address=None) as cluster,
          Client(cluster) as client, joblib.parallel_config("dask")):
        client.run(asleep, told, record)
        begin = time.perf_counter()
        found = enumerate_structures(graph, task, settings=settings, order="given")
        taken = time.perf_counter() - begin
    assert len(found) == graph.n_structures
    return taken


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.search.cluster",
                                     description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tiles", type=int, default=12, help="tiles that are fitted (12)")
    parser.add_argument("--workers", type=int, default=32, help="of the cluster (32)")
    parser.add_argument("--keep", action="store_true",
                        help="take the times of tiles from the file, and repeat the cluster")
    parser.add_argument("--quick", action="store_true", help="64 structures: does it run?")
    parser.add_argument("--out", type=Path, help="folder for the results")
    asked = parser.parse_args(arguments)
    torch.set_num_threads(1)
    out = asked.out or (None if asked.quick else RESULTS)
    found = json.loads((out / "cluster.json").read_text()) if asked.keep else measured(asked)
    own, many = list(found["measured"].values()), len(tiles_of(problem(asked.quick)[0]))
    draw = random.Random(1)
    seconds = [found["measured"].get(str(i)) or draw.choice(own) for i in range(many)]
    visits, alone, rest = scheduled(asked, seconds, found["record"]), sum(seconds), sum(
        found["serial"].values())
    told = {"workers": asked.workers, "tiles": many, "measured": found["measured"],
            "seconds": seconds, "serial": found["serial"], "record": found["record"],
            "visits": visits, "load": os.getloadavg()[0],
            "efficiency of the visits": alone / (asked.workers * visits),
            "efficiency": (alone + rest) / (asked.workers * (visits + rest))}
    print(json.dumps({k: v for k, v in told.items() if k not in ("seconds", "record")}, indent=1))
    if out:
        store(out / "cluster.json", told, ["dask", "distributed", "joblib"])
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
