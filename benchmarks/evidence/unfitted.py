"""What eight whole fits tell of all: `python -m benchmarks.evidence.unfitted [--full N]`.

All networks are fitted to the end with the first seeds, from the starts that a search would have
taken, and sixteen with the others. The law of every edge by the fits of all is compared with that
of the eight that the search fits, alone and with the law of the others
(`bstruct.search.stages.unfitted`): cross entropy to the laws of all fits, in nats, where a
probability counts as .001 at least, and total variation between seeds. The laws with the others are
computed with other constants, too, one changed at a time. The constants were chosen on the tables
of Friedman; the laws of `benchmarks.compare` have had no say in them.

A full seed takes a CPU minute and more. The fits are kept in the folder --fits, if one is named,
and found there again; results/unfitted.json has a row a table.
"""
import argparse
import json
import math
from contextlib import contextmanager
from itertools import combinations
from pathlib import Path
from statistics import fmean
from unittest.mock import patch

import torch

from benchmarks.compare.laws import sample
from benchmarks.evidence.seeds import rows_of, short
from benchmarks.store import store
from bstruct import StructureRegressor
from bstruct.core.files import write_whole
from bstruct.evidence.core import Evidence
from bstruct.model.graph import Graph
from bstruct.search.modes import evidence, judged
from bstruct.search.result import Scored
from bstruct.search.stages import unfitted
from bstruct.search.stages.sifting import expected
from bstruct.search.stages.unfitted import Outlook, scatter_of, spread

RESULTS = Path(__file__).parent / "results" / "unfitted.json"
CHOSEN_ON = ("friedman1", "friedman2", "friedman3", "friedman1-100")
NEW = {"product-200": ("product", 200), "bowl-100": ("bowl", 100),
       "heavy tails-100": ("heavy tails", 100), "corner-150": ("corner", 150)}
FITS = 8
ALIKE = ({}, {"SLOPE": 0.5}, {"SLOPE": 1.0}, {"LEAST": 3.0}, {"LEAST": 12.0}, {"LOST": 8.0},
         {"LOST": 30.0}, {"FREEDOM": 256})


def table_of(name: str) -> tuple:
    "Training columns and target."
    if name in NEW:
        return tuple(v.numpy() for v in sample(*NEW[name], 0))
    X, _, y, _ = rows_of(name, 0)
    return X, y


class Seen(BaseException):
    "What a search had found when all was fitted."


def fits_of(table: str, seed: int, full: bool) -> dict:
    "Short fits as the search makes them, and whole ones of all networks, or of sixteen."
    def at_the_sift(run):
        found = sifted(run)
        every, groups = found.outlook.every, judged.drawn(len(found.outlook.every), run.seed)
        brief = [None if isinstance(f.evidence, str) else f.evidence.value for f in found.fits]
        fits, _ = judged.fitted(run, every if full else found.order[:16], plan=found.plan)
        alive = [f for f in fits if not isinstance(f.evidence, str) and not f.flat]
        error = alive[0].evidence
        raise Seen({"seed": seed, "graph": run.graph.to_json(), "full": full,
                    "every": [list(s.values()) for s in every], "groups": groups,
                    "short": brief, "order": [every.index(s) for s in found.order],
                    "whole": [[every.index(f.structure), f.evidence.value] for f in alive],
                    "comp": error.diagnostics.get("comparison", error.stderr)})

    sifted = evidence.sifted
    try:
        with patch.object(evidence, "sifted", at_the_sift):
            StructureRegressor(random_state=seed).fit(*table_of(table))
    except Seen as found:
        return found.args[0]
    raise RuntimeError(f"{table} was not sifted")


def kept(folder: Path | None, table: str, seed: int, full: bool) -> dict:
    "The same, from the folder or into it."
    file = folder and folder / f"{table}-{seed}-{'all' if full else 'some'}.json"
    if file and file.exists():
        return json.loads(file.read_text())
    found = fits_of(table, seed, full)
    if file:
        file.parent.mkdir(parents=True, exist_ok=True)
        write_whole(file, json.dumps(found).encode())
    return found


def law(rows: list[Scored], graph: Graph) -> dict:
    "The law of every edge by the rows of networks."
    total = sum(r.probability for r in rows)
    return {e: {c: sum(r.probability for r in rows if r.structure[e] == c) / total
                for c in known} for e, known in graph.choices.items()}


def by_fits(values: dict[int, float], error: float, every: list, graph: Graph) -> dict:
    "The law of the edges by these whole fits alone, each with this error."
    z = torch.tensor([*values.values()]).double()
    noise = torch.randn(2000, len(z), generator=torch.Generator().manual_seed(0)).double()
    p = (z + error * noise).softmax(1).mean(0).tolist()
    return law([Scored(every[i], Evidence(values[i]), probability=q)
                for i, q in zip(values, p)], graph)


@contextmanager
def constants(given: dict[str, float]):
    "Others in the module for a while."
    with patch.multiple(unfitted, **{"LEAST": unfitted.LEAST, **given}):
        yield unfitted.LEAST


def with_others(one: dict, graph: Graph, given: dict[str, float]) -> dict:
    "The law by the eight and the networks without a fit."
    every = [dict(zip(graph.choices, s)) for s in one["every"]]
    value = dict(one["whole"])
    some = [i for i in one["order"][:FITS] if i in value]
    made = [Scored(every[i], Evidence(value[i], diagnostics={"comparison": one["comp"]}),
                   probability=1 / len(some)) for i in some]
    values = torch.tensor([math.nan if v is None else v for v in one["short"]]).double()
    worth, starts = expected(graph, every, one["groups"], values)
    with constants(given) as least:
        scatter = scatter_of(worth, starts, one["groups"], values, least)
        rows, _ = spread(graph, made, Outlook(every, worth, scatter))
    return law(rows, graph)


def laws(one: dict, graph: Graph) -> dict:
    "By the eight, by these and the law of the others, and by all where all are fitted."
    every = [dict(zip(graph.choices, s)) for s in one["every"]]
    value = dict(one["whole"])
    eight = {i: value[i] for i in one["order"][:FITS] if i in value}
    found = {"eight": by_fits(eight, one["comp"], every, graph),
             "others": [with_others(one, graph, a) for a in ALIKE]}
    return found | ({"all": by_fits(value, one["comp"], every, graph)} if one["full"] else {})


def pooled(seeds: list[dict], graph: Graph) -> dict:
    "The law by the mean over all seeds with fits of all networks."
    full = [one for one in seeds if one["full"]]
    value = [dict(one["whole"]) for one in full]
    both = {i: fmean(v[i] for v in value) for i in value[0] if all(i in v for v in value)}
    error = math.sqrt(fmean(one["comp"] ** 2 for one in full) / len(full))
    every = [dict(zip(graph.choices, s)) for s in full[0]["every"]]
    return by_fits(both, error, every, graph)


def variation(a: dict, b: dict) -> float:
    return fmean(sum(abs(p - b[e][c]) for c, p in a[e].items()) / 2 for e in a)


def entropy(p: dict, q: dict) -> float:
    return fmean(-sum(v * math.log(max(q[e][c], 1e-3)) for c, v in p[e].items()) for e in p)


def flat(found: dict) -> list[float]:
    return [p for own in found.values() for p in own.values()]


def row_of(table: str, seeds: list[dict]) -> dict:
    "What is stored of a table."
    graph = Graph.from_json(seeds[0]["graph"])
    each = [laws(one, graph) for one in seeds]
    whole = [f["all"] for f in each if "all" in f]
    mean = lambda of, pairs: fmean(of(a, b) for a, b in pairs) if pairs else None
    found = {"table": table, "chosen_on": table in CHOSEN_ON, "seeds": len(each),
             "full": len(whole), "networks": len(seeds[0]["every"])}

    def told(own: list[dict]) -> tuple:
        return (mean(entropy, [(p, q) for p in whole for q in own]),
                mean(variation, list(combinations(own, 2))))

    for name, own in (("eight", [f["eight"] for f in each]),
                      ("others", [f["others"][0] for f in each])):
        found[f"entropy_{name}"], found[f"variation_{name}"] = told(own)
    both = [(p, q) for p in whole for q in whole if p is not q]
    found |= {"entropy_all": mean(entropy, both), "variation_all": mean(variation, both)}
    found["constants"] = [a | dict(zip(("entropy", "variation"), told(
        [f["others"][k] for f in each]))) for k, a in enumerate(ALIKE)]
    return found | {"law_all": flat(pooled(seeds, graph)),
                    "law_others": [flat(f["others"][0]) for f in each]}


def main(arguments: list[str] | None = None) -> None:
    "Fit, compare, and store a row a table."
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--full", type=int, default=1, help="seeds with fits of all networks")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", action="append", choices=(*CHOSEN_ON, *NEW))
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--fits", type=Path, help="folder that keeps the fits")
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    rows = []
    for table in given.only or (*NEW, *CHOSEN_ON):
        rows.append(row_of(table, [kept(given.fits, table, s, s < given.full)
                                   for s in range(given.seeds)]))
        print({k: v for k, v in rows[-1].items() if not k.startswith("law")}, flush=True)
        store(given.out, {"rows": short(rows)})


if __name__ == "__main__":
    main()
