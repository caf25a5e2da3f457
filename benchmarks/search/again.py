"""Which networks should be fitted whole? `python -m benchmarks.search.again [--tables mnist1d
digits] [--seeds 2] [--draws 6]`.

A search over classes makes short fits of 96 networks and whole ones of a few. Here all different
networks of the graph of `benchmarks.search` (155) are fitted whole, in four orders of the rows, and
short fits are drawn again and again. Then any rule that chooses what is fitted whole is played in
no time, at the cost of the search: 32 fits of a network in an order of the rows.

For every rule: the nats that its pick lacks to the network with the most evidence over all seeds
and orders, with the difference from the earlier rule and its standard error over searches; how
often the network with the most evidence of the seed was fitted whole. Where returned_mnist1d.json
has the test log-loss of every network, what the pick lacks there, and how often it is among the
first ten.

A seed takes two CPU minutes. The fits lie in results/again.json, and are not repeated.
"""
import argparse
import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from statistics import fmean, stdev
from unittest.mock import patch

import torch
from threadpoolctl import threadpool_limits
from torch import Generator, Tensor

from benchmarks.search import data
from benchmarks.search.__main__ import RESULTS
from benchmarks.search.enumeration import task_of
from benchmarks.store import store
from bstruct.core.random import seed_of
from bstruct.evidence.core import Evidence
from bstruct.model.graph import Graph
from bstruct.model.presets import dense
from bstruct.search.modes.sifted import short_rows
from bstruct.search.settings import Settings
from bstruct.search.stages import relearnt
from bstruct.search.stages.race import compared, rounds, shrunk, within_reach
from bstruct.search.stages.relearnt import PENALTY, ShortFits, halves, most_promising, shared_rounds
from bstruct.search.stages.sifting import different, drawn, expected, promising
from bstruct.training.ensembles import ensemble_evidence

NAME, TABLES = "again.json", ("mnist1d", "digits", "breast_cancer")
ORDERS, CHUNK = 4, 16
FIRST = 10  # ranks that are called good
OTHERS = {"penalty 1": {"PENALTY": 1.0}, "penalty 4": {"PENALTY": 4.0},
          "bound at the upper quarter": {"MIDDLE": 0.75},
          "bound at the lower quarter": {"MIDDLE": 0.25}, "no bound": {"MIDDLE": 0.0}}


def fits(table: data.Table, seed: int, settings: Settings) -> dict:
    "Log evidence of every different network in each order of the rows, nats."
    graph, task, start = graph_of(table), task_of(table, seed), time.process_time()
    names, plan, whole = different(graph), settings.fit_plan(len(task)), []
    for i in range(0, len(names), CHUNK):
        found = ensemble_evidence(graph, names[i:i + CHUNK], task, plan, seed, range(ORDERS))
        whole += [[round(v, 3) for v in e.diagnostics["starts"]] for e in found]
    return {"whole": whole, "short": {}, "cpu_seconds": round(time.process_time() - start, 1)}


def short_fits(table: data.Table, seed: int, draw: int, settings: Settings) -> list[float]:
    "Log evidence of the short fits of a draw, nats, group by group."
    graph, task = graph_of(table), task_of(table, seed)
    names, plan, told = different(graph), short_rows(settings.fit_plan(len(task))), []
    for i, group in enumerate(drawn(len(names), draw)):
        told += [round(e.value, 3) for e in ensemble_evidence(
            graph, [names[k] for k in group], task, plan, seed_of(draw, f"sift {i}"), (1,))]
    return told


def graph_of(table: data.Table) -> Graph:
    return dense(table.scaled[0].shape[1], table.outputs, (64, 64))


@dataclass
class Search:
    "A draw of short fits, and what a whole fit of every network would say."

    graph: Graph
    short: ShortFits
    whole: Tensor
    draw: int

    def earlier(self, many: int) -> list[int]:
        "The first networks by the additive model of the short fits and by these in turn."
        worth, starts = expected(self.graph, self.short.every, self.short.groups,
                                 self.short.values)
        each = torch.tensor([len(g) for g in self.short.groups])
        own = self.short.values - starts.repeat_interleave(each)
        return promising(worth, self.short.groups, own)[:many]

    def learnt(self, parts: list[int], choose: Callable | None = None,
               **constants: float) -> list[int]:
        """Networks in parts, each chosen by the short fits and the whole ones before it; other
        constants of the model by their names."""
        seen: dict[int, float] = {}
        with patch.multiple(relearnt, **{"PENALTY": relearnt.PENALTY, **constants}):
            for many in parts:
                new = (choose(self, seen, many) if choose and seen
                       else most_promising(self.graph, self.short, seen, many))
                seen |= {i: float(self.whole[i, 0]) for i in new}
        return [*seen]

    def pick(self, some: list[int], turns: list[tuple[int, int]]) -> tuple[int, int]:
        "The place that a race of these networks ends with, and the fits that it takes."
        told, going, orders = {i: [float(self.whole[i, 0])] for i in some}, some, 1
        for n, more in turns[1:]:
            reach = dict(zip(some, within_reach([evidence_of(told[i]) for i in some])))
            mean = {i: fmean(told[i]) for i in going}
            going = [i for i in sorted(mean, key=mean.__getitem__, reverse=True) if reach[i]][:n]
            if len(going) < min(2, n):
                break
            for i in going:
                told[i] += self.whole[i, orders:orders + more].tolist()
            orders += more
        worth = [e.value for e in shrunk(compared([evidence_of(told[i]) for i in some]))]
        return some[worth.index(max(worth))], sum(map(len, told.values()))


def evidence_of(values: list[float]) -> Evidence:
    O = len(values)
    error = stdev(values) / math.sqrt(O) if O > 1 else math.inf
    return Evidence(fmean(values), error, method="prequential", reliable=O > 1,
                    diagnostics={"starts": values, "replicas": O})


def posterior(s: Search, seen: dict[int, float], draws: int = 256) -> Tensor:
    "Draws of the evidence of whole fits of all networks by the model of `relearnt`, nats."
    own = s.graph.variables
    code = torch.stack([torch.cat([v.encode(one[e]).double() for e, v in own.items()])
                        for one in s.short.every])
    K, at, some, flat = code @ code.mT, [*chain.from_iterable(s.short.groups)], [*seen], 1e4
    values = s.short.values
    y = values.clamp(min=float(values.quantile(0.5)))
    w = torch.tensor([*seen.values()], dtype=torch.float64)
    w = w.clamp(min=float(w.max() - (values.max() - values.quantile(0.5))))
    same = torch.block_diag(*[torch.ones(len(g), len(g)) for g in s.short.groups]).double()
    cov = torch.cat([torch.cat([K[at][:, at] + same + flat, K[at][:, some]], 1),
                     torch.cat([K[some][:, at], 2 * K[some][:, some] + flat], 1)])
    cov += PENALTY * torch.eye(len(cov)).double()
    cross = torch.cat([K[:, at], 2 * K[:, some] + flat], 1)
    gap = torch.cat([y - y.mean(), w - w.mean()])
    gain = torch.linalg.solve(cov, cross.mT).mT
    scale = (gap @ torch.linalg.solve(cov, gap) / len(gap)).sqrt()
    left = 2 * K + flat + PENALTY * torch.eye(len(K)).double() - gain @ cross.mT
    value, vectors = torch.linalg.eigh(left)
    noise = torch.randn(draws, len(K), generator=Generator().manual_seed(s.draw)).double()
    return w.mean() + gain @ gap + scale * (
        noise * value.clamp(min=0).sqrt()) @ vectors.mT


def by_thompson(s: Search, seen: dict[int, float], many: int) -> list[int]:
    "The best network without a whole fit in one draw after another."
    z, left = posterior(s, seen), [i for i in range(len(s.whole)) if i not in seen]
    return [*dict.fromkeys(left[int(row[left].argmax())] for row in z)][:many]


def by_improvement(s: Search, seen: dict[int, float], many: int) -> list[int]:
    "Those that raise the mean of the best the most, one after another."
    z, chosen = posterior(s, seen), []
    best = z[:, [*seen]].amax(1)
    for _ in range(many):
        gain = (z - best[:, None]).clamp(min=0).mean(0)
        gain[[*seen, *chosen]] = -1.0
        chosen.append(int(gain.argmax()))
        best = torch.maximum(best, z[:, chosen[-1]])
    return chosen


def rules(s: Settings, networks: int) -> dict[str, Callable[[Search], tuple[int, list, int]]]:
    "What chooses the networks that are fitted whole: pick, networks and fits."
    before, now = rounds(s, s.screened), shared_rounds(s, networks)
    n = now[0][0]

    def rule(choose: Callable[[Search], list[int]], turns: list[tuple[int, int]]):
        def played(one: Search) -> tuple[int, list, int]:
            some = choose(one)
            place, cost = one.pick(some, turns)
            return place, some, cost
        return played

    return {
        "short fits, as before": rule(lambda o: o.earlier(s.screened), before),
        "short fits, shared rounds": rule(lambda o: o.earlier(n), now),
        "model of short fits": rule(lambda o: o.learnt([n]), now),
        "learnt again, rounds as before": rule(
            lambda o: o.learnt(halves(s.screened)), before),
        "learnt again, largest mean": rule(lambda o: o.learnt(halves(n)), now),
        "learnt again in four parts": rule(lambda o: o.learnt([n // 4] * 4), now),
        "expected improvement": rule(lambda o: o.learnt(halves(n), by_improvement), now),
        "Thompson sampling": rule(lambda o: o.learnt(halves(n), by_thompson), now),
        "all networks": rule(lambda o: list(range(networks)), now),
        **{f"learnt again, {named}": rule(lambda o, own=own: o.learnt(halves(n), **own), now)
           for named, own in OTHERS.items()},
    }


def played(name: str, cells: dict[str, dict], truth: list[float] | None) -> list[dict]:
    "A row for each rule on a table: means over searches."
    graph = graph_of(data.load(name))
    every, tables = different(graph), {k: torch.tensor(c["whole"]).double()
                                       for k, c in cells.items()}
    level = torch.stack([w - w.median(0).values for w in tables.values()]).mean((0, 2))
    searches = [Search(graph, ShortFits(every, drawn(len(every), int(draw)), torch.tensor(
        v, dtype=torch.float64)), tables[k], int(draw))
        for k, c in cells.items() for draw, v in c["short"].items()]
    rows, before = [], None
    for rule, play in rules(Settings(judge="ensemble"), len(every)).items():
        told = [play(s) for s in searches]
        behind = [float(level.max() - level[p]) for p, _, _ in told]
        before = before or behind
        gap = [a - b for a, b in zip(behind, before)]
        row = {"table": name, "rule": rule, "searches": len(told),
               "fits": fmean(cost for *_, cost in told), "behind": fmean(behind),
               "against_before": [fmean(gap), stdev(gap) / math.sqrt(len(gap))],
               "best_was_fitted": fmean(int(s.whole.mean(1).argmax()) in some
                                        for s, (_, some, _) in zip(searches, told))}
        if truth:
            loss = torch.tensor(truth)
            rank = loss.argsort().argsort() + 1
            row |= {"loss_behind": fmean(float(loss[p] - loss.min()) for p, *_ in told),
                    "among_first": fmean(int(rank[p]) <= FIRST for p, *_ in told)}
        rows.append(row)
        print({k: round(v, 3) if isinstance(v, float) else v for k, v in row.items()}, flush=True)
    return rows


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", nargs="+", default=list(TABLES))
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--draws", type=int, default=6, help="of short fits, for each seed")
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--quick", action="store_true", help="fits of one epoch")
    args = parser.parse_args(argv)
    settings = Settings(judge="ensemble", **({"epochs": 1, "min_steps": 0} if args.quick else {}))
    file, ranked = args.out / NAME, RESULTS / "returned_mnist1d.json"
    found = json.loads(file.read_text()) if file.exists() else {"cells": {}, "rows": []}
    with threadpool_limits(1):
        for name in args.tables:
            table, cells = data.load(name), found["cells"].setdefault(name, {})
            for seed in range(args.seeds):
                cell = cells.get(str(seed)) or fits(table, seed, settings)
                cells[str(seed)] = cell
                for draw in (1000 + 100 * seed + k if k else seed for k in range(args.draws)):
                    if str(draw) not in cell["short"]:
                        cell["short"][str(draw)] = short_fits(table, seed, draw, settings)
                store(file, found, indent=None)
        losses = [t["test_log_loss"] for t in json.loads(ranked.read_text())["truth"].values()]
        found["rows"] = [row for name, cells in found["cells"].items() for row in played(
            name, cells, [fmean(v) for v in zip(*losses)] if name == "mnist1d" else None)]
    store(file, found, indent=None)


if __name__ == "__main__":
    main()
