"Whole searches on the device: an enumeration of thousands, and every mode beside the processor's."
import tempfile
import time
from inspect import signature
from pathlib import Path
from typing import Any

import torch
from sklearn.datasets import load_digits

from benchmarks.gpu import data
from benchmarks.gpu.pack import Pack
from bstruct.model.graph import Graph
from bstruct.model.reach import network_of
from bstruct.objectives.task import Task
from bstruct.search.modes.enumeration import enumerate_structures
from bstruct.search.modes.family import search
from bstruct.search.ranking import Ranking
from bstruct.search.work.breadth import tile_of
from bstruct.use.estimators import StructureClassifier

MODES = ("evidence", "enumerate", "grow", "shrink")


def _enumerated(pack: Pack, graph: Graph, task: Task, kept: dict[str, Ranking]) -> dict[str, Any]:
    "All structures of the graph by the library's enumeration; notes how far it is while it runs."
    s, begin = data.settings(pack.quick, mode="enumerate"), time.perf_counter()

    def told(record) -> None:
        pack.note(progress={**{k: record[k] for k in ("epoch", "epochs")},
                            "seconds": time.perf_counter() - begin})
    with tempfile.TemporaryDirectory() as folder:
        found = enumerate_structures(graph, task, settings=s, order="given",
                                     journal=Path(folder) / "journal", callback=told)
    pack.wait()
    seconds, kept["all"] = time.perf_counter() - begin, found
    networks = len({network_of(graph, r.structure) for r in found.rows})
    failed = [r.error for r in found.rows if r.error]
    best = found.rows[0]
    return {"structures": len(found), "networks": networks, "seconds": seconds,
            "structures_a_minute": 60 * len(found) / seconds,
            "networks_a_minute": 60 * networks / seconds,
            "tile": tile_of(graph, task, s.fit_plan(len(task)), networks), "failed": len(failed),
            "first_failure": failed[0] if failed else None, "best": dict(best.structure),
            "best_nats": best.evidence.value, "best_stderr": best.evidence.stderr,
            "forecast": str(found.forecast)}


def _picked(pack: Pack, graph: Graph, task: Task, seed: int,
            kept: dict[str, Ranking]) -> dict[str, Any]:
    "The evidence mode's answer on the same rows, and its rank among all."
    begin = time.perf_counter()
    found = search(graph, task, data.settings(pack.quick), seed)
    pack.wait()
    structure, seconds = found.structures[0], time.perf_counter() - begin
    more: dict[str, Any] = {}
    if "all" in kept:
        rows, rank = kept["all"].rows, kept["all"].rank_of(structure)
        row = rows[rank - 1]
        more = {"rank": rank, "of": len(rows), "top_share": rank / len(rows),
                "nats_below_best": rows[0].evidence.value - row.evidence.value}
    return {"seconds": seconds, "structure": dict(structure), "interrupted": found.interrupted,
            **more}


def enumeration(pack: Pack) -> None:
    """4096 structures of digits, one by one; then the place of the evidence mode's answers among
    them."""
    graph, task, kept = data.many(pack.quick), data.digits(pack.quick, pack.device), {}
    pack.attempt("enumerated", {"graph": graph.n_structures}, _enumerated, pack, graph, task, kept)
    for seed in range(1 if pack.quick else 3):
        pack.attempt("evidence_mode", {"seed": seed}, _picked, pack, graph, task, seed, kept)


def _fitted(pack: Pack, mode: str, device) -> dict[str, Any]:
    "One fit of the classifier to three quarters of digits, and its accuracy on the rest."
    x, y = load_digits(return_X_y=True)
    n, rest = (200, 100) if pack.quick else (1347, 450)
    known = signature(StructureClassifier.__init__).parameters
    s = data.settings(pack.quick, mode=mode, candidates=data.FEW).as_record()
    model = StructureClassifier(**{k: v for k, v in s.items() if k in known}, random_state=0,
                                device=str(device))
    begin = time.perf_counter()
    model.fit(x[:n], y[:n])
    pack.wait()
    seconds, begin = time.perf_counter() - begin, time.perf_counter()
    right = float((model.predict(x[n:n + rest]) == y[n:n + rest]).mean())
    return {"seconds": seconds, "predict_seconds": time.perf_counter() - begin, "accuracy": right,
            "structure": dict(model.structure_), "nats": model.evidence_.value,
            "stderr": model.evidence_.stderr}


def modes(pack: Pack) -> None:
    """Each mode on digits, on the device and then on the processor with all its cores: seconds,
    and the answers."""
    torch.set_num_threads(pack.threads)
    found: dict[tuple[str, str], dict] = {}
    for where, device in (("device", pack.device), ("cpu", torch.device("cpu"))):
        for mode in MODES:
            found[where, mode] = pack.attempt(where, {"mode": mode}, _fitted, pack, mode, device)
            a, b = found.get(("device", mode)), found.get(("cpu", mode))
            if a and b and "structure" in a and "structure" in b:
                pack.row("compared", mode=mode, same_answer=a["structure"] == b["structure"],
                         times_faster=b["seconds"] / a["seconds"], nats_apart=a["nats"] - b["nats"],
                         accuracy_apart=a["accuracy"] - b["accuracy"])
