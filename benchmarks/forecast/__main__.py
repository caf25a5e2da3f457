"""How long a search takes against how long it was said to take:
`python -m benchmarks.forecast [--quick] [--cells N] [--more] [--processes 1]`.

A grid of rows, columns, classes, widths, edges, modes, processes and judges. In each cell the parts
of the search are forecast, then the search runs, and the time is compared, of each part as well:
that of the processor, with two processes that on the clock. Forecast and search follow each other
in a process of their own, which begins with no memory but the libraries'. Results are written after
every cell, into --out or results/forecast.json beside this file, with a picture.
"""
import argparse
import itertools
import json
import multiprocessing
import random
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import torch

from benchmarks.store import store
from bstruct.model.graph import Graph
from bstruct.objectives.task import Task
from bstruct.search.modes.expected import expected
from bstruct.search.modes.family import search
from bstruct.search.settings import Settings
from bstruct.search.stages.judge import judge_of

HERE = Path(__file__).parent / "results"
# the evidence mode has no use for a second process: its cells have one more candidate in that place
GRID = {"rows": (400, 4000), "columns": (4, 40), "classes": (0, 5), "width": (8, 64),
        "edges": (2, 7), "mode": ("evidence", "enumerate"), "jobs": (1, 2),
        "judge": ("auto", "prequential")}
WITHIN = 1.5


def cells(quick: bool) -> list[dict]:
    """64 cells of 256 in which each four axes take all their values together, or 8 of them in
    which every pair does but for the last axis."""
    every = [dict(zip(GRID, v)) for v in itertools.product(*GRID.values())]
    at = lambda c: [GRID[k].index(v) for k, v in c.items()]
    part = lambda b: b[6] == b[0] ^ b[1] ^ b[2] ^ b[3] and b[7] == b[0] ^ b[1] ^ b[4] ^ b[5]
    few = lambda b: b[3] == b[0] ^ b[1] and b[4] == b[0] ^ b[2] and b[5] == b[1] ^ b[2]
    found = [c for c in every if part(at(c)) and (not quick or few(at(c)))]
    random.Random(0).shuffle(found)  # a run that is stopped has seen all kinds
    return found


def problem(cell: dict) -> tuple[Graph, Task, Settings]:
    g = torch.Generator().manual_seed(0)
    x = torch.randn(cell["rows"], cell["columns"], generator=g)
    y = torch.sin(2 * x[:, 0]) + x[:, 1] * x[:, 2] + 0.1 * torch.randn(len(x), generator=g)
    if cell["classes"]:
        cuts = torch.linspace(0, 1, cell["classes"] + 1)[1:-1]
        y = torch.bucketize(y, y.quantile(cuts))
    hidden = (cell["width"],) * {2: 1, 7: 3}[cell["edges"]]
    more = ("linear",) * (cell["mode"] == "evidence" and cell["jobs"] == 2)
    graph = Graph.dense(cell["columns"], cell["classes"] or 1, hidden,
                        ("zero", "linear+tanh", *more))
    return graph, Task(x, y, "categorical" if cell["classes"] else "gaussian"), Settings(
        mode=cell["mode"], judge=cell["judge"])


@contextmanager
def watched(found: dict):
    "Peak of this process's own memory in here, above where it began, in bytes."
    def own() -> int:
        lines = Path("/proc/self/status").read_text().splitlines()
        return 1024 * int(next(s for s in lines if s.startswith("RssAnon")).split()[1])

    begin, done = own(), threading.Event()
    found["peak"] = 0

    def look() -> None:
        while not done.wait(0.01):
            found["peak"] = max(found["peak"], own() - begin)

    watch = threading.Thread(target=look, daemon=True)
    watch.start()
    try:
        yield
    finally:
        done.set()
        watch.join()


def at_once(cell: dict) -> int:
    "How many processes fit."
    return cell["jobs"] if cell["mode"] == "enumerate" else 1


def measured(cell: dict) -> dict:
    "A cell with its forecast and what the search took."
    graph, task, settings = problem(cell)
    jobs = at_once(cell)
    now = time.process_time if jobs == 1 else time.perf_counter
    begin = now()
    seen = expected(graph, task, settings, jobs)
    asked = now() - begin
    marks: dict[str, list[float]] = {}

    def told(record: dict) -> None:
        marks.setdefault(record["stage"], []).append(now())

    found: dict = {}
    with watched(found):
        begin = now()
        search(graph, task, settings, callback=told, n_jobs=jobs)
        taken = now() - begin
    started = seen.parts.get("processes", 0.0)  # before the search, which has them
    ends, last = {}, begin
    for stage, times in marks.items():
        ends[stage], last = times[-1] - last, times[-1]
    return cell | {"forecast": seen.seconds, "parts": seen.parts, "taken": taken + started,
                   "stages": ends, "asked": asked, "structures": graph.n_structures,
                   "law": judge_of(graph, task, settings), "processes": jobs,
                   "bytes": seen.bytes, "peak": found["peak"]}


def _sent(cell: dict, end) -> None:
    from joblib.externals.loky import get_reusable_executor

    torch.set_num_threads(1)
    end.send(measured(cell))
    if at_once(cell) > 1:
        get_reusable_executor().shutdown()


def apart(cell: dict) -> dict:
    "A cell that is measured in a process of its own."
    here, there = multiprocessing.get_context("fork").Pipe(False)
    process = multiprocessing.get_context("fork").Process(target=_sent, args=(cell, there))
    process.start()
    there.close()
    try:
        return here.recv()
    finally:
        process.join()


def plot(rows: list[dict], path: Path) -> None:
    import matplotlib

    matplotlib.use("agg")
    import matplotlib.pyplot as plt
    import matplotlib.ticker

    figure, axis = plt.subplots(figsize=(5, 4.4))
    for law, marker in (("prequential", "o"), ("laplace", "s"), ("ensemble", "^")):
        for jobs, face in ((1, "none"), (2, "gray")):
            own = [r for r in rows if r["law"] == law and r["processes"] == jobs]
            axis.loglog([r["taken"] for r in own], [r["forecast"] for r in own], marker, ms=5,
                        mfc=face, mec="black", mew=0.7,
                        label=f"{law}, {jobs} process" + "es" * (jobs > 1) if own else None)
    ends = [f([r["taken"] for r in rows]) * k for f, k in ((min, 0.7), (max, 1.4))]
    for k in (1 / WITHIN, 1, WITHIN):
        axis.plot(ends, [k * v for v in ends], color="gray", lw=0.8, ls="-" if k == 1 else ":")
    ticks = [v for v in (0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200) if ends[0] < v < ends[1]]
    for one in (axis.xaxis, axis.yaxis):
        one.set_ticks(ticks, labels=[f"{v:g}" for v in ticks])
        one.set_minor_locator(matplotlib.ticker.NullLocator())
    axis.set_xlabel("taken, s")
    axis.set_ylabel("forecast, s")
    axis.legend(frameon=False, fontsize=8)
    figure.tight_layout()
    figure.savefig(path, dpi=110)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.forecast", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true",
                        help="8 cells of 64, nothing written: does it run?")
    parser.add_argument("--cells", type=int, help="the first so many of them, in random order")
    parser.add_argument("--more", action="store_true", help="keep the cells that the file has")
    parser.add_argument("--processes", type=int, choices=(1, 2), help="cells with so many alone")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args(arguments)
    path = given.out or HERE / "forecast.json"
    torch.set_num_threads(1)
    import bstruct.use.estimators  # noqa: F401  (the libraries are loaded)
    rows: list[dict] = []
    if given.more and path.exists():
        rows = json.loads(path.read_text())["rows"]
    known = [{k: r[k] for k in GRID} for r in rows]
    todo = [c for c in cells(given.quick)
            if c not in known and given.processes in (None, at_once(c))]
    for cell in todo[:given.cells]:
        rows.append(row := apart(cell))
        good = sum(1 / WITHIN <= r["forecast"] / r["taken"] <= WITHIN for r in rows)
        if not given.quick or given.out:
            store(path, {"rows": rows, "within": good, "quick": given.quick})
        print(" ".join(f"{v}" for v in cell.values()), f"{row['law']}: forecast "
              f"{row['forecast']:.2f} s, taken {row['taken']:.2f} s, ratio "
              f"{row['forecast'] / row['taken']:.2f}; memory {row['bytes'] / 1e6:.1f} MB, "
              f"{row['peak'] / 1e6:.1f} MB", flush=True)
    print(f"{good} of {len(rows)} within a factor of {WITHIN}")
    if not given.quick or given.out:
        plot(rows, path.with_suffix(".png"))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
