"""Where does the pick rank among predictors of its own kind? `python -m benchmarks.search.returned
[--seeds 2] [--picks 5]`.

mnist1d and the graph of `benchmarks.search`, 216 structures. `truth_mnist1d.json` orders them by
single fits of a fixed length; what an estimator returns is an ensemble, each member stopped where
later rows were predicted best. Here every different network is judged and fitted by exactly that
engine: its evidence over two orders of the rows, the law of the stopping times, and as many members
as a search returns. The truth is the mean -ln p of a test row under the mean of the members, over
the seeds. Then the estimator searches with its defaults, seed by seed, and its pick gets its rank.

A seed of the truth takes some CPU minutes, a pick a quarter of one. Writes returned_mnist1d.json
into results/ beside this file, or into --out; what it holds is not repeated.
"""
import argparse
import json
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from scipy.stats import spearmanr
from threadpoolctl import threadpool_limits
from torch import Tensor

from benchmarks.search import data
from benchmarks.search.__main__ import RESULTS
from benchmarks.search.enumeration import task_of
from benchmarks.store import store
from bstruct.model.graph import Graph
from bstruct.model.presets import dense
from bstruct.model.reach import network_of
from bstruct.objectives.task import Task
from bstruct.search.modes.ensembles import MEMBERS
from bstruct.search.settings import Settings
from bstruct.search.stages.sifting import different
from bstruct.training.batch import Batch, outputs_at
from bstruct.training.ensembles import ensemble_evidence, ensembles, stopping_law
from bstruct.use.estimators import StructureClassifier

NAME, CHUNK = "returned_mnist1d.json", 12
QUICK = {"epochs": 1, "min_steps": 0, "replicas": 1}


def log_loss(batch: Batch, test: Task) -> float:
    "Mean -ln p of a row under the mean of the members, nats."
    with torch.no_grad():
        out = outputs_at(batch, [batch.params["loc"]], test.x)[0].double().log_softmax(-1)
    mean: Tensor = out.exp().mean(0)
    return float(-mean[torch.arange(len(test.y)), test.y].log().mean())


def truth(graph: Graph, task: Task, test: Task, settings: Settings, seed: int) -> dict:
    "Evidence and test log-loss of every different network, and the CPU seconds of all."
    start, names, plan = time.process_time(), different(graph), settings.fit_plan(len(task))
    evidence, losses = [], []
    for i in range(0, len(names), CHUNK):
        some = names[i:i + CHUNK]
        found = ensemble_evidence(graph, some, task, plan, seed, (0, 1))
        laws = [stopping_law(e.diagnostics["stops"]) for e in found]
        members = replace(plan, starts=MEMBERS * settings.replicas)
        batches = ensembles(graph, some, laws, task, members, seed)
        evidence += [round(e.value, 2) for e in found]
        losses += [round(log_loss(b, test), 5) for b in batches]
    return {"evidence": evidence, "test_log_loss": losses,
            "cpu_seconds": round(time.process_time() - start, 1)}


def pick(table: data.Table, seed: int, options: dict) -> dict:
    "The structure that the estimator's defaults find, and its test log-loss."
    start = time.process_time()
    model = StructureClassifier(random_state=seed, **options).fit(table.raw[0], table.y[0])
    p = model.predict_proba(table.raw[1])[np.arange(len(table.y[1])), table.y[1]]
    loss = round(float(-np.log(p).mean()), 5)
    raced = [dict(r["structure"]) for r in model.ranking_
             if r.get("structure") and r.get("fitted", True)]
    return {"structure": dict(model.structure_), "raced": raced, "test_log_loss": loss,
            "cpu_seconds": round(time.process_time() - start, 1)}


def shown(found: dict, graph: Graph) -> None:
    "Ranks of the picks, what raced, agreement of the seeds, and of evidence with the truth."
    names = [network_of(graph, s) for s in found["structures"]]
    losses = np.array([t["test_log_loss"] for t in found["truth"].values()])
    rank = losses.mean(0).argsort().argsort() + 1
    each = [np.array(t["evidence"]) for t in found["truth"].values()]
    most = np.mean(each, 0).argmax()
    many = Counter(network_of(graph, s) for s in graph.structures())
    before = lambda i: sum(many[n] for n, r in zip(names, rank) if r < rank[i])
    for seed, own in found["picks"].items():
        at = names.index(network_of(graph, own["structure"]))
        raced = {network_of(graph, s) for s in own["raced"]}
        own |= {"rank": int(rank[at]), "rank_of_names": 1 + before(at), "best_raced": min(
                    int(rank[names.index(n)]) for n in raced if n in names),
                "most_evident_raced": names[most] in raced,
                "behind": round(float(losses.mean(0)[at] - losses.mean(0).min()), 4)}
        print(f"pick of seed {seed}: rank {own['rank']} of {len(names)}, "
              f"{own['rank_of_names']} of {graph.n_structures} names, {own['behind']} nats a row "
              f"behind the best, log-loss {own['test_log_loss']}")
    found["most_evidence"] = {"ranks": [int(rank[e.argmax()]) for e in each],
                              "of_all": int(rank[most]), "of_names": 1 + before(most)}
    print("rank of the network with the most evidence:", found["most_evidence"])
    agree = spearmanr(losses[0], losses[1]).statistic if len(losses) > 1 else float("nan")
    of = [spearmanr(-np.array(t["evidence"]), losses.mean(0)).statistic
          for t in found["truth"].values()]
    found["spearman"] = {"of two seeds": round(float(agree), 3),
                         "of evidence and truth": [round(float(s), 3) for s in of]}
    print("Spearman:", found["spearman"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=2, help="seeds of the truth")
    parser.add_argument("--picks", type=int, default=5, help="searches")
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--quick", action="store_true", help="short fits of few networks")
    args = parser.parse_args()
    options, table = QUICK if args.quick else {}, data.load("mnist1d")
    graph, settings = dense(40, 10, (64, 64)), replace(Settings(judge="ensemble"), **options)
    test = Task(torch.tensor(table.scaled[1], dtype=torch.float32).clamp(-5, 5),
                torch.tensor(table.y[1]), "categorical")
    file = args.out / NAME
    found = json.loads(file.read_text()) if file.exists() else {
        "structures": [dict(s) for s in different(graph)], "truth": {}, "picks": {}}
    with threadpool_limits(1):
        for kind, count in (("truth", args.seeds), ("picks", args.picks)):
            for seed in map(str, range(count)):
                if seed in found[kind]:
                    continue
                found[kind][seed] = pick(table, int(seed), options) if kind == "picks" else truth(
                    graph, task_of(table, int(seed)), test, settings, int(seed))
                print(kind, seed, found[kind][seed]["cpu_seconds"], "CPU s", flush=True)
                store(file, found)
    shown(found, graph)
    store(file, found)


if __name__ == "__main__":
    main()
