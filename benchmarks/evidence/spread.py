"""Where the evidence of a class comes by its spread: `python -m benchmarks.evidence.spread`.

Six networks of a table are judged as a search judges them, in two dozen orders of the rows and from
two seeds of starts and minibatches in each. The variance of their log evidence is divided into
parts (order, start, network, and what two of them do together), in nats². Then races of four orders
are drawn from the measured ones, with repetition, and it is counted how often the mean over all
orders is within two stated errors, and within two standard errors, of what the race says.
results/spread.json has a row a table. About half a CPU minute a table.
"""
import argparse
import json
import math
import time
from pathlib import Path
from unittest.mock import patch

import numpy as np
import torch

from benchmarks.evidence.seeds import rows_of, short
from bstruct import StructureClassifier
from bstruct.core.about import about
from bstruct.core.files import write_whole
from bstruct.evidence.core import Evidence
from bstruct.search.modes import evidence
from bstruct.search.stages.race import compared
from bstruct.search.stages.sifting import different
from bstruct.training.ensembles import ensemble_evidence, reordered

RESULTS = Path(__file__).parent / "results" / "spread.json"
TABLES = ("iris", "wine", "digits-300", "moons", "breast_cancer")
NETWORKS, STARTS, RACES = 6, 2, 400


class Begun(BaseException):
    "The session of a search, before its first fit."


def session(table: str):
    def stop(run, result):
        raise Begun(run)

    X, _, y, _ = rows_of(table, 0)
    try:
        with patch.object(evidence, "by_rows", stop):
            StructureClassifier(random_state=0).fit(X, y)
    except Begun as found:
        return found.args[0]
    raise RuntimeError(f"{table} is not sifted by rows")


def values(table: str, orders: int) -> np.ndarray:
    "Log evidence [orders, STARTS, NETWORKS] in nats."
    run = session(table)
    plan, every = run.settings.fit_plan(len(run.task)), different(run.graph)
    drawn = torch.randperm(len(every), generator=torch.Generator().manual_seed(3))[:NETWORKS]
    some = [every[i] for i in drawn.tolist()]
    tasks = [reordered(run.task, 99, 1 + o) for o in range(orders)]
    return np.array([[[e.value for e in ensemble_evidence(
        run.graph, some, task, plan, 1000 * (k + 1) + o)] for k in range(STARTS)]
        for o, task in enumerate(tasks)])


def parts(v: np.ndarray) -> dict[str, float]:
    "Components of the variance of a crossed table without repetitions, nats²."
    sizes, names = v.shape, ("order", "start", "network")
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
    parser.add_argument("--only", action="append", choices=TABLES)
    parser.add_argument("--out", type=Path, default=RESULTS)
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    rows = []
    for table in given.only or TABLES:
        begin = time.process_time()
        v = values(table, given.orders)
        rows.append({"table": table, "orders": given.orders, "parts": parts(v), **coverage(v),
                     "cpu": time.process_time() - begin})
        print(rows[-1], flush=True)
        write_whole(given.out, json.dumps({"machine": about(), "rows": short(rows)},
                                          indent=1).encode())


if __name__ == "__main__":
    main()
