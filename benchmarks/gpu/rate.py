"""Structures a minute by tile: eager, replayed, compiled, on the processor; and the memory of a
tile."""
import time
import warnings
from collections.abc import Callable
from dataclasses import replace
from itertools import cycle, islice

import torch
from torch import Tensor

from benchmarks.gpu import data
from benchmarks.gpu.pack import Pack, cores
from bstruct.search.work.breadth import tile_of
from bstruct.search.work.forecast import fit_bytes
from bstruct.training.fits import FitPlan, Fits, block_log_p
from bstruct.training.replay import replayed

TILES = (1080, 216, 4320, 32)  # the most telling first
TARGET = 1e4  # structures a minute


def tiles(pack: Pack) -> tuple[int, ...]:
    return (8, 4) if pack.quick else TILES


def steps_of(plan: FitPlan) -> int:
    "Steps behind the evidence of a structure."
    return sum(plan.steps(past)[1] for past in plan.bounds[:-1])


def timed(pack: Pack, step: Callable[[Tensor], None], rows: Tensor, seconds: float = 1.0) -> float:
    "Seconds of a step, from as many as fit in so many seconds, at least three."
    for _ in range(2 if pack.quick else 5):
        step(rows)
    pack.wait()
    begin, n = time.perf_counter(), 0
    while n < 3 or time.perf_counter() - begin < seconds:
        for _ in range(1 if pack.quick else 3):
            step(rows)
            n += 1
        pack.wait()
        if pack.quick:
            break
    return (time.perf_counter() - begin) / n


def made(pack: Pack, tile: int, device=None) -> tuple[Fits, FitPlan, Tensor]:
    "Fits of the cell, its structures again and again; their plan, and rows of a step."
    graph, task = data.cell(pack.quick, device or pack.device)
    plan = data.settings(pack.quick).fit_plan(len(task))
    structures = list(islice(cycle(graph.structures()), tile))
    size = plan.steps(plan.bounds[-2])[0]
    rows = torch.randint(0, plan.bounds[-2], (size,), generator=torch.Generator().manual_seed(0))
    return Fits(graph, structures, task, plan, 0), plan, rows.to(task.x.device)


def synchronisations(pack: Pack, step: Callable[[Tensor], None], rows: Tensor) -> dict:
    "Where a step waits for the device: how often, and what torch says of it."
    if not pack.cuda:
        return {}
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        torch.cuda.set_sync_debug_mode("warn")
        try:
            step(rows)
        finally:
            torch.cuda.set_sync_debug_mode("default")
    found = [w for w in told if "synchroniz" in str(w.message)]
    where = sorted({f"{w.filename.rpartition('/')[2]}:{w.lineno}" for w in found})
    return {"syncs_a_step": len(found), "syncs_at": where[:8]}


def peak(pack: Pack) -> int | None:
    return torch.cuda.max_memory_allocated(pack.device) if pack.cuda else None


def _rate(pack: Pack, tile: int, length: float) -> dict:
    "One tile, step by step: eager, then replayed."
    if pack.cuda:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(pack.device)
    fits, plan, rows = made(pack, tile)
    steps = steps_of(plan)
    minute = lambda t: 60 * tile / (t * steps)
    eager = timed(pack, fits.step, rows, length)
    found = {"steps": steps, "eager_ms": 1e3 * eager, "eager_a_minute": minute(eager),
             "peak_bytes": peak(pack)}
    found |= synchronisations(pack, fits.step, rows)
    if pack.cuda:
        take = replayed(fits.step, pack.device)
        quick = timed(pack, take, rows, length)
        found |= {"graph_ms": 1e3 * quick, "graph_a_minute": minute(quick),
                  "graph_reason": take.reason, "graph_peak_bytes": peak(pack)}
    return found


def whole(pack: Pack, tile: int) -> dict:
    "All that the evidence of a tile takes, by the library's own call: starts, steps, predictions."
    graph, task = data.cell(pack.quick, pack.device)
    plan = data.settings(pack.quick).fit_plan(len(task))
    structures = list(islice(cycle(graph.structures()), tile))
    pack.wait()
    begin = time.perf_counter()
    log_p = block_log_p(graph, structures, task, plan, 0).cpu()
    seconds = time.perf_counter() - begin
    return {"seconds": seconds, "a_minute": 60 * tile / seconds, "rows": log_p.shape[-1],
            "finite": bool(log_p.isfinite().all()),
            "nats_a_row": float(log_p[:, -1].double().mean())}


def rate(pack: Pack) -> None:
    "Structures a minute by tile, from the time of a step; then whole evidences."
    length = min(1.5, pack.left / 40)
    for tile in tiles(pack):
        pack.attempt("tiles", {"tile": tile}, _rate, pack, tile, length)
    for tile in tiles(pack):
        pack.attempt("whole", {"tile": tile}, whole, pack, tile)
    best = max((r.get("a_minute") or 0 for r in pack.current["whole"]), default=0)
    pack.note(best_a_minute=best, target=TARGET, reached=best >= TARGET)


def compiled(pack: Pack) -> None:
    """The step with torch.compile around its forward pass, plain and replayed; compiling takes a
    minute or so."""
    for tile in tiles(pack)[:2][::-1]:
        pack.attempt("tiles", {"tile": tile}, _compiled, pack, tile)


def _compiled(pack: Pack, tile: int) -> dict:
    fits, plan, rows = made(pack, tile)
    minute = lambda t: 60 * tile / (t * steps_of(plan))
    eager = timed(pack, fits.step, rows, 0.5)
    fits.log_p = torch.compile(fits.log_p, dynamic=False)
    begin = time.perf_counter()
    fits.step(rows)
    pack.wait()
    found = {"compile_seconds": time.perf_counter() - begin, "eager_a_minute": minute(eager)}
    quick = timed(pack, fits.step, rows, 0.5)
    found |= {"compiled_ms": 1e3 * quick, "compiled_a_minute": minute(quick)}
    if pack.cuda:
        take = replayed(fits.step, pack.device)
        both = timed(pack, take, rows, 0.5)
        found |= {"compiled_graph_ms": 1e3 * both, "compiled_graph_a_minute": minute(both),
                  "reason": take.reason}
    return found


def _on_cpu(pack: Pack, tile: int, threads: int) -> dict:
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        fits, plan, rows = made(pack, tile, "cpu")
        host = replace(pack, device=torch.device("cpu"))
        seconds = timed(host, fits.step, rows, min(4.0, pack.left / 8))
        return {"ms": 1e3 * seconds, "a_minute": 60 * tile / (seconds * steps_of(plan))}
    finally:
        torch.set_num_threads(before)


def cpu(pack: Pack) -> None:
    """The same cell on the processor of the machine, one core and all; how many times the device
    is faster."""
    for threads in sorted({1, pack.threads}):
        for tile in tiles(pack)[-1:] if pack.quick else (32, 216):
            pack.attempt("tiles", {"threads": threads, "tile": tile}, _on_cpu, pack, tile, threads)
    done = [r for r in pack.current["tiles"] if "a_minute" in r]
    best = lambda threads: max((r["a_minute"] for r in done if r["threads"] == threads),
                               default=None)
    one, every = best(1), best(pack.threads)
    device = pack.found["sections"].get("rate", {}).get("best_a_minute")
    pack.note(cores=cores(), threads=pack.threads, one_core_a_minute=one, all_cores_a_minute=every,
              device_a_minute=device, one_core_times_cores=one and one * cores())
    if device and one and every:
        pack.note(speed_up_over_one_core=device / one, speed_up_over_threads=device / every,
                  speed_up_over_a_process_a_core=device / (one * cores()))


def memory(pack: Pack) -> None:
    """Peak bytes by tile beside the library's forecast, and the tile that the library chooses on
    this device."""
    for tile in sorted(tiles(pack)):
        pack.attempt("tiles", {"tile": tile}, _memory, pack, tile)
    graph, task = data.many(pack.quick), data.digits(pack.quick, pack.device)
    for name, given in (("cell", data.cell(pack.quick, pack.device)),
                        ("digits, many", (graph, task))):
        pack.attempt("chosen", {"graph": name}, _chosen, pack, *given)


def _chosen(pack: Pack, graph, task) -> dict:
    plan = data.settings(pack.quick).fit_plan(len(task))
    return {"structures": graph.n_structures,
            "tile_chosen": tile_of(graph, task, plan, graph.n_structures)}


def _memory(pack: Pack, tile: int) -> dict:
    before = 0
    if pack.cuda:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(pack.device)
        before = torch.cuda.memory_allocated(pack.device)
    graph, task = data.cell(pack.quick, pack.device)
    fits, plan, rows = made(pack, tile)
    for _ in range(3):
        fits.step(rows)
    fits.predict(plan.bounds[-2], plan.bounds[-1])
    pack.wait()
    top = peak(pack)
    return {"forecast_bytes": fit_bytes(graph, task, plan, tile),
            "peak_bytes": top and top - before,
            "weights_bytes": fits.weights.numel() * fits.weights.element_size()}
