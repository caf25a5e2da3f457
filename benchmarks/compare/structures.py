"""Does a comparison put 216 structures in the order of what they predict? `python -m
benchmarks.compare.structures [--every 9 --rows 1000 2000]`.

mnist1d and the graph of `benchmarks.search`, whose structures' test log-loss is stored
(truth_mnist1d.json, by `python -m benchmarks.evidence.truth`). Every so-many-th structure is a
model of one `compare` of all 4,000 rows in two orders, whose blocks are predicted from so many
rows. Spearman's correlation with the truth of the log evidence and of the last block's score
stands beside that of the prequential evidence of `benchmarks.evidence.selection` on the same
structures. Writes structures.json, a run for each choice of rows.
"""
import argparse
import json
import time
from pathlib import Path

import numpy as np
import torch
from scipy.stats import spearmanr

from benchmarks.search import data
from benchmarks.search.enumeration import task_of
from benchmarks.store import store
from bstruct.model.presets import dense
from bstruct.use.compare import compare
from bstruct.use.comparison import next_scores

HERE = Path(__file__).parent.parent
RESULT = HERE / "compare/results/structures.json"
RIVALS = ("growing blocks, mixture over 20 stops", "growing blocks, 20 epochs",
          "last fifth, mixture over 12 stops", "last fifth, 12 epochs", "enumeration's evidence")


def stored(at: list[int], truth: np.ndarray) -> dict:
    "Spearman's correlation on these structures of what `benchmarks.evidence.selection` stored."
    rows = json.loads((HERE / "evidence/results/selection.json").read_text())["rows"]
    of = lambda name: [r for r in rows if r["estimator"] == name]
    return {name: {"spearman": [float(spearmanr(np.array(r["score"])[at], -truth).statistic)
                                for r in of(name)],
                   "behind": [float(truth[int(np.argmax(np.array(r["score"])[at]))] - truth.min())
                              for r in of(name)],
                   "CPU seconds, all 216": float(np.mean([r["cpu_seconds"] for r in of(name)]))}
            for name in RIVALS}


def judged(scores: dict[str, list[float]], truth: np.ndarray) -> dict[str, dict[str, float]]:
    "Spearman's correlation of the scores with the truth, and nats a row behind the best."
    return {"spearman": {k: float(spearmanr(v, -truth).statistic) for k, v in scores.items()},
            "behind": {k: float(truth[int(np.argmax(v))] - truth.min())
                       for k, v in scores.items()}}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--every", type=int, default=9)
    parser.add_argument("--rows", type=int, nargs="+", default=[1000, 2000])
    given = parser.parse_args()
    torch.set_num_threads(1)
    known = json.loads((HERE / "search/results/truth_mnist1d.json").read_text())
    losses = np.array(list(known["test_log_loss"].values()))
    at = list(range(0, len(known["structures"]), given.every))
    truth, kept = losses.mean(0)[at], RESULT.with_suffix(".checkpoint")
    task, graph = task_of(data.load("mnist1d"), 0), dense(40, 10, (64, 64))
    models = {str(i): (graph, known["structures"][i]) for i in at}
    start = time.process_time()
    found = compare(models, task.x, task.y, likelihood="categorical", orders=2, replicas=1,
                    rows=tuple(given.rows), checkpoint=kept, verbose=True)
    told = {"explains all rows": [e.value for e in found.evidence.values()],
            "predicts the next rows": next_scores(found.log_p, found.bounds).tolist()}
    run = {"rows": given.rows, "CPU seconds": time.process_time() - start, "scores": {
        k: [round(x, 5) for x in v[:len(at)]] for k, v in told.items()}}
    runs = json.loads(RESULT.read_text())["runs"] if RESULT.exists() else []
    runs = [r for r in runs if r["rows"] != given.rows] + [run | judged(run["scores"], truth)]
    store(RESULT, {"structures": at, "truth": truth.tolist(), "runs": runs,
                   "stored": stored(at, truth)}, indent=None)
    kept.unlink()
    print(runs[-1]["spearman"], stored(at, truth))


if __name__ == "__main__":
    main()
