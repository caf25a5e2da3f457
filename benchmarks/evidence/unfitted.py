"""What eight whole fits tell of all: `python -m benchmarks.evidence.unfitted [--full N]`.

On tables of Friedman all networks are fitted to the end with the first seeds, from the starts that
a search would have taken, and sixteen with the others. The law of every edge by the fits of all is
compared with that of the eight that the search fits, alone and with the law of the others
(`bstruct.search.stages.unfitted`): cross entropy to the laws of all fits, in nats, where a
probability counts as .001 at least, and total variation between seeds. A full seed takes a CPU
minute. results/unfitted.json has a row a table.
"""
import argparse
import json
import math
from itertools import combinations
from pathlib import Path
from statistics import fmean
from unittest.mock import patch

import torch

from benchmarks.evidence.seeds import rows_of
from bstruct import StructureRegressor
from bstruct.core.about import about
from bstruct.core.files import write_whole
from bstruct.evidence.core import Evidence
from bstruct.model.graph import Graph
from bstruct.search.modes import evidence, judged
from bstruct.search.result import Scored
from bstruct.search.stages.sifting import expected
from bstruct.search.stages.unfitted import Outlook, scatter_of, spread

RESULTS = Path(__file__).parent / "results" / "unfitted.json"
TABLES = ("friedman1", "friedman2", "friedman3", "friedman1-100")
FITS = 8


class Seen(BaseException):
    "What a search had found when all was fitted."


def fits_of(table: str, seed: int, full: bool) -> dict:
    "Short fits as the search makes them, and whole ones of all networks, or of sixteen."
    def at_the_sift(run):
        found = sifted(run)
        every, groups = found.outlook.every, judged.drawn(len(found.outlook.every), run.seed)
        short = [None if isinstance(f.evidence, str) else f.evidence.value for f in found.fits]
        fits, _ = judged.fitted(run, every if full else found.order[:16], plan=found.plan)
        error = fits[0].evidence
        raise Seen({"seed": seed, "every": [list(s.values()) for s in every], "groups": groups,
                    "short": short, "order": [every.index(s) for s in found.order],
                    "whole": [[every.index(f.structure), f.evidence.value] for f in fits],
                    "comp": error.diagnostics.get("comparison", error.stderr)})

    sifted = evidence.sifted
    X, _, y, _ = rows_of(table, seed)
    try:
        with patch.object(evidence, "sifted", at_the_sift):
            StructureRegressor(random_state=seed).fit(X, y)
    except Seen as found:
        return found.args[0]
    raise RuntimeError(f"{table} was not sifted")


def law(rows: list[Scored], graph: Graph) -> dict:
    "The law of every edge by the rows of networks."
    total = sum(r.probability for r in rows)
    return {e: {c: sum(r.probability for r in rows if r.structure[e] == c) / total
                for c in known} for e, known in graph.choices.items()}


def laws(one: dict, graph: Graph) -> dict:
    "By the eight, by these and the law of the others, and by all where all are fitted."
    every = [dict(zip(graph.choices, s)) for s in one["every"]]
    value = dict(one["whole"])
    made = lambda i, p: Scored(every[i], Evidence(value[i], diagnostics={
        "comparison": one["comp"]}), probability=p)

    def posterior(at: list[int]) -> dict:
        z = torch.tensor([value[i] for i in at]).double()
        noise = torch.randn(2000, len(at), generator=torch.Generator().manual_seed(0)).double()
        p = (z + one["comp"] * noise).softmax(1).mean(0)
        return law([made(i, q) for i, q in zip(at, p.tolist())], graph)

    some = [i for i in one["order"][:FITS] if i in value]
    values = torch.tensor([math.nan if v is None else v for v in one["short"]]).double()
    worth, starts = expected(graph, every, one["groups"], values)
    outlook = Outlook(every, worth, scatter_of(worth, starts, one["groups"], values))
    rows, _ = spread(graph, [made(i, 1 / len(some)) for i in some], outlook)
    found = {"eight": posterior(some), "others": law(rows, graph)}
    return found | ({"all": posterior(list(value))} if len(value) == len(every) else {})


def variation(a: dict, b: dict) -> float:
    return fmean(sum(abs(p - b[e][c]) for c, p in a[e].items()) / 2 for e in a)


def entropy(p: dict, q: dict) -> float:
    return fmean(-sum(v * math.log(max(q[e][c], 1e-3)) for c, v in p[e].items()) for e in p)


def row_of(table: str, seeds: list[dict]) -> dict:
    "What is stored of a table."
    candidates = tuple(dict.fromkeys(c for s in seeds[0]["every"] for c in s))
    graph = Graph.dense(4, 1, hidden=(4, 4), candidates=candidates)
    each = [laws(one, graph) for one in seeds]
    whole = [f["all"] for f in each if "all" in f]
    mean = lambda of, pairs: fmean(of(a, b) for a, b in pairs) if pairs else None
    found = {"table": table, "seeds": len(each), "full": len(whole), "networks":
             len(seeds[0]["every"])}
    for name in ("eight", "others"):
        own = [f[name] for f in each]
        found[f"entropy_{name}"] = mean(entropy, [(p, q) for p in whole for q in own])
        found[f"variation_{name}"] = mean(variation, list(combinations(own, 2)))
    both = [(p, q) for p in whole for q in whole if p is not q]
    return found | {"entropy_all": mean(entropy, both), "variation_all": mean(variation, both)}


def main(arguments: list[str] | None = None) -> None:
    "Fit, compare, and store a row a table."
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--full", type=int, default=2, help="seeds with fits of all networks")
    parser.add_argument("--seeds", type=int, default=6)
    parser.add_argument("--only", action="append", choices=TABLES)
    parser.add_argument("--out", type=Path, default=RESULTS)
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    rows = []
    for table in given.only or TABLES:
        rows.append(row_of(table, [fits_of(table, s, s < given.full)
                                   for s in range(given.seeds)]))
        print(rows[-1])
        write_whole(given.out, json.dumps({"machine": about(), "rows": rows},
                                          indent=1).encode())


if __name__ == "__main__":
    main()
