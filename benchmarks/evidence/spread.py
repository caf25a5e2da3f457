"""Where the evidence of a class comes by its spread: `python -m benchmarks.evidence.spread`.

Six networks of a table are judged as a search judges them, in two dozen orders of the rows and from
two seeds of starts and minibatches in each. The variance of their log evidence is divided into
parts (order, start, network, and what two of them do together), in nats². Then races of four orders
are drawn from the measured ones, with repetition, and it is counted how often the mean over all
orders is within two stated errors, and within two standard errors, of what the race says.

For numbers, a dozen starts of six networks are fitted by the dual engine, with two seeds of the
minibatches and of the rows that judge; what is more than 30 nats behind the best start of its
network counts as that. Searches are drawn from them: the better two of six starts, by their mean
over networks, and what a search says of these. It is counted how often that is within two stated
errors, and within two deviations of a single start, of its mean over such draws.

results/spread.json has a row a table, which is kept. About half a CPU minute a table.
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
from bstruct.search.modes import evidence
from bstruct.search.stages.judge import dual_plan
from bstruct.search.stages.race import compared
from bstruct.search.stages.sifting import different
from bstruct.training.ensembles import ensemble_evidence, reordered
from bstruct.training.laplace import LOST, fit_dual, pooled_error

RESULTS = Path(__file__).parent / "results" / "spread.json"
TABLES = ("iris", "wine", "digits-300", "moons", "breast_cancer")
NUMBERS = ("friedman1", "friedman2", "friedman3", "friedman1-100", "diabetes")
NETWORKS, STARTS, RACES = 6, 2, 400
SEEDS, SIFTED = 2, 6  # of minibatches, and starts that a search chooses from


class Begun(BaseException):
    "The session of a search, before its first fit."


def session(table: str):
    def stop(run, *result):
        raise Begun(run)

    X, _, y, _ = rows_of(table, 0)
    kind, stage = ((StructureRegressor, "sifted") if table in NUMBERS
                   else (StructureClassifier, "by_rows"))
    try:
        with patch.object(evidence, stage, stop):
            kind(random_state=0).fit(X, y)
    except Begun as found:
        return found.args[0]
    raise RuntimeError(f"{table} is not sifted")


def networks(run) -> list:
    "Some of all, drawn."
    every = different(run.graph)
    drawn = torch.randperm(len(every), generator=torch.Generator().manual_seed(3))[:NETWORKS]
    return [every[i] for i in drawn.tolist()]


def values(table: str, orders: int) -> np.ndarray:
    "Log evidence [orders, STARTS, NETWORKS] in nats."
    run = session(table)
    plan, some = run.settings.fit_plan(len(run.task)), networks(run)
    tasks = [reordered(run.task, 99, 1 + o) for o in range(orders)]
    return np.array([[[e.value for e in ensemble_evidence(
        run.graph, some, task, plan, 1000 * (k + 1) + o)] for k in range(STARTS)]
        for o, task in enumerate(tasks)])


def of_numbers(table: str, starts: int) -> np.ndarray:
    "Log evidence [SEEDS, starts, NETWORKS] of single starts in nats."
    run = session(table)
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
    rows = json.loads(given.out.read_text())["rows"] if given.out.exists() else []
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
        rows.append({"table": table, **found, "cpu": time.process_time() - begin})
        print(rows[-1], flush=True)
        store(given.out, {"rows": short(rows)})


if __name__ == "__main__":
    main()
