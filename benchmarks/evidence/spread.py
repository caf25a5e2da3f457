"""Where the evidence of a class comes by its spread: `python -m benchmarks.evidence.spread`.

Six networks of a table are judged as a search judges them, in two dozen orders of the rows and from
two seeds of starts and minibatches in each. The variance of their log evidence is divided into
parts (order, start, network, and what two of them do together), in nats². Then races of four orders
are drawn from the measured ones, with repetition, and it is counted how often the mean over all
orders is within two stated errors, and within two standard errors, of what the race says.

`raced` has the networks that a search of a table races, judged in 20 orders. Races of four orders
are drawn from them: the best four by the first order get the other three. Least squares with the
references, and what is to be expected of networks among others, are compared with the mean over all
orders: how far off the finalists and the others are in the mean, how often within two stated
errors, and the root mean square of what networks are off beside their mean.

For numbers, a dozen starts of six networks are fitted by the dual engine, with two seeds of the
minibatches and of the rows that judge; what is more than 30 nats behind the best start of its
network counts as that. Searches are drawn from them: the better two of six starts, by their mean
over networks, and what a search says of these. It is counted how often that is within two stated
errors, and within two deviations of a single start, of its mean over such draws.

results/spread.json has a row a table, which is kept. About a CPU minute a table.
"""
import argparse
import json
import math
import time
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import numpy as np
import torch

from benchmarks.evidence.seeds import rows_of, short
from benchmarks.store import store
from bstruct import StructureClassifier, StructureRegressor
from bstruct.evidence.core import Evidence
from bstruct.search.modes import evidence, sifted
from bstruct.search.stages.judge import dual_plan
from bstruct.search.stages.race import compared, expected_in_race
from bstruct.search.stages.sifting import different
from bstruct.training.ensembles import ensemble_evidence, references_in_orders, reordered
from bstruct.training.laplace import LOST, fit_dual, pooled_error

RESULTS = Path(__file__).parent / "results" / "spread.json"
TABLES = ("iris", "wine", "digits-300", "moons", "breast_cancer")
NUMBERS = ("friedman1", "friedman2", "friedman3", "friedman1-100", "diabetes")
NETWORKS, STARTS, RACES = 6, 2, 400
RACED, FINALISTS = ("iris", "digits-300", "moons"), 4
SEEDS, SIFTED = 2, 6  # of minibatches, and starts that a search chooses from


class Begun(BaseException):
    "The session of a search, before its first fit."


def session(table: str, place=None, stage: str = "") -> tuple:
    "The session of a search, and what else that stage is given."
    def stop(*given):
        raise Begun(*given)

    X, _, y, _ = rows_of(table, 0)
    kind, own = ((StructureRegressor, "sifted") if table in NUMBERS
                 else (StructureClassifier, "by_rows"))
    try:
        with patch.object(place or evidence, stage or own, stop):
            kind(random_state=0).fit(X, y)
    except Begun as found:
        return found.args
    raise RuntimeError(f"{table} is not sifted")


def networks(run) -> list:
    "Some of all, drawn."
    every = different(run.graph)
    drawn = torch.randperm(len(every), generator=torch.Generator().manual_seed(3))[:NETWORKS]
    return [every[i] for i in drawn.tolist()]


def values(table: str, orders: int) -> np.ndarray:
    "Log evidence [orders, STARTS, NETWORKS] in nats."
    run = session(table)[0]
    return judged(run, networks(run), orders, STARTS)


def judged(run, some: list, orders: int, starts: int) -> np.ndarray:
    "Log evidence [orders, starts, networks] of ensembles of some networks in nats."
    plan = run.settings.fit_plan(len(run.task))
    tasks = [reordered(run.task, 99, 1 + o) for o in range(orders)]
    return np.array([[[e.value for e in ensemble_evidence(
        run.graph, some, task, plan, 1000 * (k + 1) + o)] for k in range(starts)]
        for o, task in enumerate(tasks)])


def raced(table: str, orders: int) -> dict:
    "What a search races, judged in these orders, and the references."
    run, some, *_ = session(table, sifted, "race")
    outputs, bounds = math.prod(run.graph.vertices[-1].shape), run.settings.fit_plan(
        len(run.task)).bounds
    told = references_in_orders(run.task, outputs, bounds, 99, range(1, orders + 1))
    return {"table": table, "networks": [list(s.values()) for s in some],
            "values": judged(run, some, orders, 1)[:, 0].tolist(),
            **{k: [t.evidence for t in own] for k, own in told.items()}}


def races(found: dict) -> dict:
    "Of races drawn from these orders: how far off both estimates are."
    v, some = np.array(found["values"]), [dict(enumerate(s)) for s in found["networks"]]
    orders, truth, generator = len(v), v.mean(0), np.random.default_rng(0)
    models = [np.array(found[k]) for k in ("constant", "linear")]
    single = lambda values: Evidence(float(values.mean()), diagnostics={
        "starts": values.tolist()})
    ways = {"squares": lambda own, more: compared([*own, *more]),
            "expected": lambda own, more: expected_in_race(some, own, more)}
    off = {k: [] for k in ways}
    for _ in range(RACES // 2):
        at = generator.integers(0, orders, 4)
        first = np.isin(np.arange(len(some)), np.argsort(-v[at[0]])[:FINALISTS])
        own = [single(v[at[:4 if going else 1], i]) for i, going in enumerate(first)]
        for k, way in ways.items():
            told = way(own, [single(m[at]) for m in models])[:len(some)]
            gap = np.array([e.value for e in told]) - truth
            off[k].append([first, gap, [e.stderr for e in told], gap - gap.mean()])
    luck = v - v.mean(0) - v.mean(1, keepdims=True) + v.mean()
    luck = float((luck**2).sum() / (orders - 1) / (len(some) - 1))
    own = max(0.0, float(truth.var(ddof=1)) - luck / orders)
    return {"table": found["table"], "luck": luck, "networks": own,
            **{k: _told(np.array(o).transpose(1, 0, 2)) for k, o in off.items()}}


def _told(off: np.ndarray) -> dict[str, float]:
    first, gap, error, beside = off
    inside, first = np.abs(gap) <= 2 * error, first.astype(bool)
    return {"finalists": float(gap[first].mean()), "others": float(gap[~first].mean()),
            "inside_finalists": float(inside[first].mean()),
            "inside_others": float(inside[~first].mean()), "error": float(error.mean()),
            "beside": float(np.sqrt((beside**2).mean()))}


def of_numbers(table: str, starts: int) -> np.ndarray:
    "Log evidence [SEEDS, starts, NETWORKS] of single starts in nats."
    run = session(table)[0]
    plan = replace(dual_plan(run.settings, len(run.task)), starts=starts,
                   seeds=tuple(1000 * (k + 1) for k in range(starts)))
    fits = [fit_dual(run.graph, networks(run), run.task, plan, seed) for seed in range(SEEDS)]
    q = torch.stack([f.q.view(-1, starts).mT for f in fits])
    return torch.maximum(q, q.amax(1, keepdim=True) - LOST).numpy()


def searches(v: np.ndarray) -> dict[str, float]:
    "Of searches that take two of six starts, all drawn from those of the first seed."
    q, generator = v[0].T, np.random.default_rng(0)
    said, error, single = [], [], []
    for _ in range(RACES):
        six = generator.permutation(q.shape[1])[:SIFTED]
        two = q[:, six[np.argsort(-q[:, six].mean(0))[:2]]]
        said.append(np.logaddexp(*two.T) - math.log(2))
        error.append(pooled_error(torch.from_numpy(two)))
        single.append(float(np.sqrt(((two[:, 0] - two[:, 1]) ** 2 / 2).mean())))
    off = np.abs(np.array(said) - np.mean(said, 0))
    return {"stated": float((off <= 2 * np.array(error)[:, None]).mean()),
            "standard": float((off <= 2 * np.array(single)[:, None]).mean()),
            "deviation": float(np.std(said, 0).mean()), "error": float(np.mean(error))}


def parts(v: np.ndarray, first: str = "order") -> dict[str, float]:
    "Components of the variance of a crossed table without repetitions, nats²."
    sizes, names = v.shape, (first, "start", "network")
    mean = lambda keep: v.mean(tuple(i for i in range(3) if i not in keep), keepdims=True)
    one = {i: mean((i,)) - v.mean() for i in range(3)}
    two = {(i, j): mean((i, j)) - one[i] - one[j] - v.mean() for i in range(3) for j in range(i)}
    rest = v - v.mean() - sum(one.values()) - sum(two.values())
    square = lambda x, keep: (float((x**2).sum()) * v.size / x.size
                              / math.prod(sizes[i] - 1 for i in keep))
    found = {"rest": square(rest, (0, 1, 2))}
    both = {k: square(x, k) for k, x in two.items()}
    for (i, j), s in both.items():
        found[f"{names[j]} and {names[i]}"] = (s - found["rest"]) / sizes[3 - i - j]
    for i, x in one.items():
        other = [s for k, s in both.items() if i in k]
        found[names[i]] = (square(x, (i,)) - sum(other) + found["rest"]) * sizes[i] / v.size
    return found


def coverage(v: np.ndarray) -> dict[str, float]:
    "Of races of four orders, drawn from those of the first start; networks leave as in a search."
    orders, generator, truth = v[:, 0], np.random.default_rng(0), v[:, 0].mean(0)
    stated, plain = [], []
    for _ in range(RACES):
        race = orders[generator.integers(0, len(orders), 4)].T
        left = [race[i, :n].tolist() for i, n in enumerate((4, 4, 2, 2, 1, 1))]
        own = compared([Evidence(0.0, diagnostics={"starts": r}) for r in left])
        luck = (race[:2].mean(0).std(ddof=1) / 2) ** 2
        for e, mu in zip(own[::2], truth[::2]):
            stated.append(abs(e.value - mu) <= 2 * e.stderr)
            plain.append(abs(e.value - mu) <= 2 * math.hypot(e.diagnostics["comparison"],
                                                             math.sqrt(luck)))
    return {"stated": float(np.mean(stated)), "standard": float(np.mean(plain))}


def main(arguments: list[str] | None = None) -> None:
    "Fit, divide, and store a row a table."
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--orders", type=int, default=24)
    parser.add_argument("--starts", type=int, default=12)
    parser.add_argument("--only", action="append", choices=TABLES + NUMBERS)
    parser.add_argument("--out", type=Path, default=RESULTS)
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    kept = json.loads(given.out.read_text()) if given.out.exists() else {}
    rows, measured = kept.get("rows", []), kept.get("raced", [])
    for table in given.only or RACED:
        if table in RACED and table not in [r["table"] for r in measured]:
            measured.append(short(raced(table, 20)))
            store(given.out, {"rows": rows, "raced": measured}, indent=None)
    told = [races(r) for r in measured]
    for table in given.only or TABLES + NUMBERS:
        if table in [r["table"] for r in rows]:
            continue
        begin = time.process_time()
        if table in NUMBERS:
            v = of_numbers(table, given.starts)
            found = {"starts": given.starts, "parts": parts(v, "seed"), **searches(v)}
        else:
            v = values(table, given.orders)
            found = {"orders": given.orders, "parts": parts(v), **coverage(v)}
        rows.append(short({"table": table, **found, "cpu": time.process_time() - begin}))
        print(rows[-1], flush=True)
        store(given.out, {"rows": rows, "raced": measured, "races": short(told)}, indent=None)
    store(given.out, {"rows": rows, "raced": measured, "races": short(told)}, indent=None)
    for row in told:
        print(row)


if __name__ == "__main__":
    main()
