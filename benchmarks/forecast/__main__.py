"""How long a search takes against how long it was said to take:
`python -m benchmarks.forecast [--quick]`.

A grid of rows, columns, classes, widths, edges and modes. In each cell the parts of the search are
forecast, then the search runs, and the time of the processor is compared, of each part as well.
Forecast and search follow each other in one process, so that a busy machine slows both. Results are
written after every cell, into --out or results/forecast.json beside this file, with a picture.
"""
import argparse
import gc
import itertools
import random
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import torch

from benchmarks.store import store
from bstruct.model.graph import Graph
from bstruct.objectives.task import Task
from bstruct.search.modes.family import search
from bstruct.search.settings import Settings
from bstruct.search.work.room import forecast_search
from bstruct.search.work.stages import stage_seconds

HERE = Path(__file__).parent / "results"
GRID = {"rows": (400, 4000), "columns": (4, 40), "classes": (0, 5), "width": (8, 64),
        "edges": (2, 7), "mode": ("evidence", "enumerate")}
WITHIN = 1.5


def cells(quick: bool) -> list[dict]:
    "All cells, or an eighth of them in which every pair of values occurs."
    every = [dict(zip(GRID, v)) for v in itertools.product(*GRID.values())]
    at = lambda c: [GRID[k].index(v) for k, v in c.items()]
    part = lambda b: b[3] == b[0] ^ b[1] and b[4] == b[0] ^ b[2] and b[5] == b[1] ^ b[2]
    found = [c for c in every if not quick or part(at(c))]
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
    graph = Graph.dense(cell["columns"], cell["classes"] or 1, hidden, ("zero", "linear+tanh"))
    return graph, Task(x, y, "categorical" if cell["classes"] else "gaussian"), Settings(
        mode=cell["mode"], judge="prequential")


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


def measured(cell: dict) -> dict:
    "A cell with its forecast and what the search took."
    graph, task, settings = problem(cell)
    begin = time.process_time()
    parts = stage_seconds(graph, task, settings)
    asked = time.process_time() - begin
    marks: dict[str, list[float]] = {}

    def told(record: dict) -> None:
        marks.setdefault(record["stage"], []).append(time.process_time())

    found: dict = {}
    gc.collect()
    with watched(found):
        begin = time.process_time()
        search(graph, task, settings, callback=told)
        taken = time.process_time() - begin
    ends, last = {}, begin
    for stage, times in marks.items():
        ends[stage], last = times[-1] - last, times[-1]
    return cell | {"forecast": sum(parts.values()), "parts": parts, "taken": taken,
                   "stages": ends, "asked": asked, "structures": graph.n_structures,
                   "bytes": forecast_search(graph, task, settings), "peak": found["peak"]}


def plot(rows: list[dict], path: Path) -> None:
    import matplotlib

    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    figure, axis = plt.subplots(figsize=(5, 4.4))
    for mode, marker in (("evidence", "o"), ("enumerate", "s")):
        own = [r for r in rows if r["mode"] == mode]
        axis.loglog([r["taken"] for r in own], [r["forecast"] for r in own], marker, ms=5,
                    mfc="none", label=mode)
    ends = [f([r["taken"] for r in rows]) * k for f, k in ((min, 0.7), (max, 1.4))]
    for k in (1 / WITHIN, 1, WITHIN):
        axis.plot(ends, [k * v for v in ends], color="gray", lw=0.8, ls="-" if k == 1 else ":")
    axis.set_xlabel("taken, s of the processor")
    axis.set_ylabel("forecast, s")
    axis.legend(frameon=False)
    figure.tight_layout()
    figure.savefig(path, dpi=110)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.forecast", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="8 cells of 64")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args(arguments)
    path = given.out or HERE / "forecast.json"
    torch.set_num_threads(1)
    measured(cells(True)[0])  # the libraries are loaded
    rows: list[dict] = []
    for cell in cells(given.quick):
        rows.append(row := measured(cell))
        good = sum(1 / WITHIN <= r["forecast"] / r["taken"] <= WITHIN for r in rows)
        store(path, {"rows": rows, "within": good, "quick": given.quick})
        print(" ".join(f"{v}" for v in cell.values()), f"forecast {row['forecast']:.2f} s, taken "
              f"{row['taken']:.2f} s, ratio {row['forecast'] / row['taken']:.2f}; memory "
              f"{row['bytes'] / 1e6:.1f} MB at least, {row['peak'] / 1e6:.1f} MB", flush=True)
    print(f"{good} of {len(rows)} within a factor of {WITHIN}")
    plot(rows, path.with_suffix(".png"))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
