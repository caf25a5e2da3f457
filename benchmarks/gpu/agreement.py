"Whether the device's numbers are the processor's, and what fewer bits change."
import math
import time
from contextlib import nullcontext
from typing import Any

import torch
from scipy.stats import spearmanr
from torch import Tensor

from benchmarks.gpu import data
from benchmarks.gpu.pack import Pack
from bstruct.training.fits import Fits, block_log_p

TOLERANCE = {"float32": 1e-3, "float64": 1e-9}  # mean distance of ln p after the steps, nats a row
STEPS = 20
SPEARMAN = 0.99  # of the evidences of the two devices, at least


def _structures(graph, quick: bool) -> list:
    "Every third structure: 72 of 216; a few if `quick`."
    return list(graph.structures())[::27 if quick else 3]


def _after_steps(pack: Pack, device, dtype: torch.dtype) -> Tensor:
    "ln p of later rows after some steps, from starts and rows that are the same on every device."
    graph, task = data.cell(pack.quick, device, dtype)
    plan = data.settings(pack.quick).fit_plan(len(task))
    fits = Fits(graph, _structures(graph, pack.quick), task, plan, 0)
    g, past = torch.Generator().manual_seed(0), plan.bounds[-2]
    size = plan.steps(past)[0]
    for _ in range(STEPS):
        fits.step(torch.randint(0, past, (size,), generator=g).to(task.x.device))
    return fits.predict(past, min(plan.bounds[-1], past + 128)).double().cpu()


def _agree(pack: Pack, name: str) -> dict:
    dtype = getattr(torch, name)
    host, device = _after_steps(pack, "cpu", dtype), _after_steps(pack, pack.device, dtype)
    apart = (host - device).abs()
    mean, most = float(apart.mean()), float(apart.max())
    return {"steps": STEPS, "models": len(host), "mean_nats": mean, "max_nats": most,
            "tolerance": TOLERANCE[name], "within": mean <= TOLERANCE[name]}


def evidences(pack: Pack, device) -> tuple[Tensor, int, float]:
    "Log evidence of structures of digits in nats, of how many rows, and the seconds."
    task, graph = data.digits(pack.quick, device), data.digits_graph(pack.quick)
    plan = data.settings(pack.quick, blocks=1).fit_plan(len(task))
    structures = _structures(graph, pack.quick)
    begin = time.perf_counter()
    log_p = block_log_p(graph, structures, task, plan, 0).double().cpu()
    seconds = time.perf_counter() - begin
    each = log_p.sum(-1).logsumexp(1) - math.log(log_p.shape[1])
    return each.mean(1), log_p.shape[-1], seconds


def compared(a: Tensor, b: Tensor, rows: int) -> dict:
    "Two columns of evidence of the same structures: their ranks, their distance, the best of each."
    there = a.isfinite() & b.isfinite()
    apart = (a - b)[there].abs() / rows
    rank = int((b > b[a.argmax()]).sum()) + 1
    same = float(spearmanr(a[there], b[there])[0])
    return {"structures": len(a), "finite": int(there.sum()), "spearman": same,
            "mean_nats_a_row": float(apart.mean()), "max_nats_a_row": float(apart.max()),
            "spread_nats_a_row": float(a[there].std() / rows), "same_best": bool(rank == 1),
            "rank_of_best": rank}


def agreement(pack: Pack) -> None:
    "Processor against device: after 20 steps in two precisions, and the order of whole evidences."
    for name in TOLERANCE:
        pack.attempt("steps", {"dtype": name}, _agree, pack, name)
    torch.set_num_threads(pack.threads)

    def ranking() -> dict[str, Any]:
        there, rows, quick = evidences(pack, pack.device)
        here, _, slow = evidences(pack, "cpu")
        return {**compared(here, there, rows), "cpu_seconds": slow, "device_seconds": quick,
                "least": SPEARMAN}
    pack.attempt("ranking", {"data": "digits"}, ranking)


def _casting(pack: Pack, name: str):
    if name == "bf16":
        return torch.autocast(pack.device.type, torch.bfloat16, cache_enabled=False)
    return nullcontext()


def precision(pack: Pack) -> None:
    "The same evidences in fewer bits: seconds, nats a row and ranks beside those in float32."
    kept: dict[str, Tensor] = {}
    evidences(pack, pack.device)  # first calls are nobody's cost

    def measured(name: str) -> dict:
        torch.set_float32_matmul_precision("high" if name == "tf32" else "highest")
        try:
            with _casting(pack, name):
                kept[name], rows, seconds = evidences(pack, pack.device)
        finally:
            torch.set_float32_matmul_precision("highest")
        return {"seconds": seconds, **compared(kept["fp32"], kept[name], rows)}
    for name in ("fp32", "tf32", "bf16"):
        pack.attempt("kinds", {"kind": name}, measured, name)
