"""What does it cost to visit every structure, and is it worth it? `python -m
benchmarks.search.enumeration`.

mnist1d, the graph of `benchmarks.search` (216 structures). For each seed, in one process and thread
and in turn: one default MLPClassifier, the complete enumeration (settings as they come), the same
with halving, and the evidence mode. CPU is process time divided by that of MLPClassifier. The truth
is `truth_mnist1d.json` (test log-loss of every structure, mean over its seeds; `python -m
benchmarks.evidence.truth` makes it): Spearman's correlation with the evidence, the true rank of the
pick, the best true rank among the first five and twenty; and the same of the supernets' order
alone, once by the mean of a structure's ranks under the weights of the KL term, once by its best
score. The evidence mode's pick gets its rank in the enumeration, too.

A seed takes about two CPU minutes. Writes enumeration_mnist1d.json and .png into results/ beside
this file, or into --out; seeds that it holds are not repeated, unless --fresh.
"""
import argparse
import json
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure
from scipy.stats import spearmanr
from sklearn.neural_network import MLPClassifier
from threadpoolctl import threadpool_limits

from benchmarks.search import data
from benchmarks.search.__main__ import RESULTS
from benchmarks.search.ranks import supernet_losses
from bstruct.experiments.study import about, summarise, timed, visit, write_study
from bstruct.model.presets import dense
from bstruct.objectives.task import Task
from bstruct.search.modes.enumeration import enumerate_structures
from bstruct.search.modes.evidence import evidence_mode
from bstruct.search.settings import Settings
from bstruct.search.stages.supernet import mean_rank

TRUTH = "truth_mnist1d.json"
QUICK = {"epochs": 1, "min_steps": 0, "starts": 2, "replicas": 1, "finalists": 2, "screened": 2}


def task_of(table: data.Table, seed: int) -> Task:
    "The training rows, standardised and in random order, as the estimators give them."
    order = np.random.default_rng(seed).permutation(len(table.y[0]))
    return Task(torch.tensor(table.scaled[0][order], dtype=torch.float32).clamp(-5, 5),
                torch.tensor(table.y[0][order]), "categorical")


def against(truth: np.ndarray, score: np.ndarray) -> dict:
    "How an order by score agrees with the truth (log-losses)."
    rank, order = truth.argsort().argsort() + 1, (-score).argsort(kind="stable")
    return {"spearman": float(spearmanr(score, -truth).statistic), "pick": int(rank[order[0]]),
            "top5": int(rank[order[:5]].min()), "top20": int(rank[order[:20]].min()),
            "behind": float(truth[order[0]] - truth.min())}


def contestants(seed: int, table: data.Table, quick: bool) -> dict:
    "What takes turns: name to a function without arguments."
    graph, task, options = dense(40, 10, (64, 64)), task_of(table, seed), QUICK if quick else {}
    settings = Settings(mode="enumerate", **options)
    visit = lambda halving: enumerate_structures(graph, task, settings=settings, seed=seed,
                                                 halving=halving)
    plain = MLPClassifier(random_state=seed, **({"max_iter": 2} if quick else {}))
    return {"MLPClassifier": lambda: plain.fit(table.scaled[0], table.y[0]),
            "evidence mode": lambda: evidence_mode(graph, task, Settings(**options), seed),
            "enumeration": lambda: visit(False), "halving": lambda: visit(True)}


def one(seed: int, table: data.Table, structures: list[dict], truth: np.ndarray,
        quick: bool) -> dict:
    "All measurements of a seed."
    runs = {name: timed(run) for name, run in contestants(seed, table, quick).items()}
    seconds = {name: spent for name, (_, spent) in runs.items()}
    whole, half, quickly = (runs[name][0] for name in ("enumeration", "halving", "evidence mode"))
    own = {tuple(r["structure"].items()): r for r in whole.rows}
    rows = [own[tuple(s.items())] for s in structures]
    ranks = lambda ranking: np.array([-float(ranking.rank_of(s)) for s in structures])
    pick, graph = quickly.ranking[0]["structure"], dense(40, 10, (64, 64))
    losses = supernet_losses(graph, task_of(table, seed), structures,
                             Settings(**(QUICK if quick else {})), seed)
    scores = -torch.stack([*losses.values()])
    print(f"seed {seed}", {k: f"×{v / seconds['MLPClassifier']:.1f}" for k, v in seconds.items()},
          flush=True)
    at, rank = structures.index(pick), truth.argsort().argsort() + 1
    return {"seconds": seconds, "cpu_ratio": {k: v / seconds["MLPClassifier"]
                                              for k, v in seconds.items()},
            "rows": rows[0]["evidence"].diagnostics["rows"], "notes": [*whole.notes, *half.notes],
            "evidence": [[round(r["evidence"].value, 2), round(r["evidence"].stderr, 2)]
                         for r in rows],
            "against": {"enumeration": against(truth, ranks(whole)),
                        "halving": against(truth, ranks(half)),
                        "supernets, mean rank": against(truth, -mean_rank(scores).numpy()),
                        "supernets, best score": against(truth, scores.amax(0).numpy()),
                        "evidence mode": {"pick": int(rank[at]), "behind": float(
                            truth[at] - truth.min())}},
            "rank_in_enumeration": {"halving": whole.rank_of(half.rows[0]["structure"]),
                                    "evidence mode": whole.rank_of(pick)}}


def summary(rows: list[dict]) -> dict:
    "Means over the seeds, and standard deviations where there are several."
    each = [{"method": name, **found} for r in rows for name, found in r["against"].items()]
    cost, rank = ([{"method": name, key: value} for r in rows for name, value in r[key].items()]
                  for key in ("cpu_ratio", "rank_in_enumeration"))
    found = [summarise(part) for part in (each, cost, rank)]
    names = dict.fromkeys(name for part in found for name in part)
    return {name: {k: [round(v, 4) for v in both] for part in found
                   for k, both in part.get(name, {}).items()}
            for name in names}


def plotted(result: dict, truth: np.ndarray) -> Figure:
    "Evidence of every structure against the truth, seed by seed."
    figure = Figure(figsize=(6.4, 3.4), dpi=100, layout="constrained")
    ax = figure.subplots()
    for i, (name, row) in enumerate(result["seeds"].items()):
        value = np.array(row["evidence"])[:, 0]
        ax.plot(truth, (value - value.max()) / row["rows"], ".", ms=3, alpha=0.6, color=f"C{i}",
                label=name)
        best = value.argmax()
        ax.plot(truth[best], 0.0, "o", ms=9, mfc="none", color=f"C{i}")
    ax.set(xlabel="test log-loss, nats a row", ylabel="log evidence less the best, nats a row",
           xlim=(None, 1.6), ylim=(-0.25, 0.02))
    ax.legend(fontsize=8, markerscale=3)
    return figure


def warm(table: data.Table) -> None:
    """Once unmeasured: what torch and scikit-learn load and compile at their first call is
    nobody's cost."""
    small = table.head(128, 64)
    evidence_mode(dense(40, 10, (64, 64)), task_of(small, 0), Settings(**QUICK), 0)
    MLPClassifier(max_iter=2).fit(small.scaled[0], small.y[0])


def run(seeds: int, out: Path | None, fresh: bool, quick: bool) -> dict:
    "Measure, print, and write where there is a folder."
    stored = json.loads((RESULTS / TRUTH).read_text())
    structures, truth = stored["structures"], np.mean(list(stored["test_log_loss"].values()), 0)
    table, file = data.load("mnist1d"), out and out / "enumeration_mnist1d.json"
    journal = file and file.with_suffix(".journal")
    table = table.head(128, 64) if quick else table
    result = {"structures": len(structures), "quick": quick,
              "settings": "Settings(mode='enumerate')", "seeds": {}}
    if file and file.exists() and not fresh:
        result["seeds"] = json.loads(file.read_text())["seeds"]
    done = [{"seed": int(name[4:]), **row} for name, row in result["seeds"].items()]
    if {r["seed"] for r in done} < set(range(seeds)):
        warm(table)
    if journal and fresh:
        journal.unlink(missing_ok=True)
    work = lambda cell: [one(cell["seed"], table, structures, truth, quick)]
    rows = list(visit([{"seed": s} for s in range(seeds)], work, journal=journal,
                      plan={"quick": quick}, done=done))
    result["seeds"] = {f"seed{r['seed']}": {k: v for k, v in r.items() if k != "seed"}
                       for r in rows}
    result["summary"] = summary(rows)
    if file:
        write_study(file, [], about(), journal=journal, **result)
    for name, row in result["summary"].items():
        print(f"{name:14}", "  ".join(f"{k} {a:.3g} ± {b:.2g}" for k, (a, b) in row.items()))
    if out:
        plotted(result, truth).savefig(out / "enumeration_mnist1d.png")
    return result


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.search.enumeration",
                                     description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5, help="seeds 0, 1, ... (5)")
    parser.add_argument("--fresh", action="store_true", help="forget the stored seeds")
    parser.add_argument("--quick", action="store_true", help="few rows and one epoch: does it run?")
    parser.add_argument("--out", type=Path, help="folder for the results")
    asked = parser.parse_args(arguments)
    if asked.seeds < 1:
        parser.error(f"--seeds is {asked.seeds}: at least 1 is needed")
    torch.set_num_threads(1)
    with threadpool_limits(1):
        run(asked.seeds, asked.out or (None if asked.quick else RESULTS), asked.fresh, asked.quick)


if __name__ == "__main__":
    main()
