"""Are the stated errors true? `python -m benchmarks.compare.coverage [--seeds 50]`.

Explains all rows: the same rows, other orders and starts in each seed. The stated error of a
difference of two log evidences should hold its mean over all seeds in 95 % of them.
Predicts the next rows: other rows in each seed. The lead of the model that leads should be, on
20,000 fresh rows, within 1.96 stated errors of what is stated.
Writes coverage.json; about a CPU minute.
"""
import argparse
import time
import warnings
from pathlib import Path

import torch

from benchmarks.compare.laws import sample
from benchmarks.compare.runs import truth
from benchmarks.store import store
from bstruct.evidence.switching import quasi_errors
from bstruct.use.compare import compare
from bstruct.use.comparison import Comparison, differences, next_draws
from bstruct.use.rivals import Constant, Linear, rival_of
from bstruct.use.rows import rows_of

RESULT = Path(__file__).parent / "results/coverage.json"
LAW, ROWS = "product", 40


def models() -> dict:
    from sklearn.neighbors import KNeighborsRegressor
    from sklearn.tree import DecisionTreeRegressor

    return {"neighbours": KNeighborsRegressor(5), "tree": DecisionTreeRegressor(min_samples_leaf=5)}


def compared(data: int, orders: int, rows: tuple[int, ...] = (16, 32)) -> Comparison:
    x, y = sample(LAW, ROWS, data)
    return compare(models(), x, y, likelihood="gaussian", random_state=orders, rows=rows)


def of_evidence(seeds: int) -> dict:
    "In how many seeds a difference of log evidences holds the mean over all, of all pairs."
    found = [compared(0, seed) for seed in range(seeds)]
    values = torch.tensor([[e.value for e in c.evidence.values()] for c in found])
    errors = torch.tensor([[e.stderr for e in c.evidence.values()] for c in found])
    plain = torch.stack([quasi_errors(differences(c.log_p.sum(-1))) for c in found])
    K, share = values.shape[1], lambda e: float(torch.cat([
        (((values[:, a] - values[:, b]) - (values[:, a] - values[:, b]).mean()).abs()
         <= 1.96 * (e[:, a].square() + e[:, b].square()).sqrt())
        for a in range(K) for b in range(a)]).double().mean())
    return {"seeds": seeds, "pairs": K * (K - 1) // 2, "covered": share(errors),
            "without Student's t": share(plain), "mean error": errors.mean(0).tolist(),
            "deviation of the values": values.std(0).tolist()}


def of_next_rows(seeds: int) -> dict:
    "In how many tables the lead on fresh rows is within 1.96 stated errors, for each other model."
    inside, right, said = [], [], []
    for seed in range(seeds):
        found = compared(seed + 1, seed, (32,))  # the answer is told by the last block alone
        x, y = sample(LAW, ROWS, seed + 1)
        rows = rows_of(x, y, "gaussian")
        rivals = {k: rival_of(k, m, rows) for k, m in models().items()} | {
            r.name: r for r in (Constant(), Linear())}
        worth = truth(found, rivals, LAW, ROWS, seed + 1)[0]
        best, t = found.best, torch.tensor([worth[k] for k in found.names]).double()
        drawn, i = next_draws(found.log_p, found.orders, found.bounds), found.names.index(best)
        gap = (drawn[:, i:i + 1] - drawn)
        off = (gap.mean(0) - (t[i] - t)).abs() <= 1.96 * gap.std(0)
        inside += [bool(v) for k, v in enumerate(off) if k != i]
        right.append(worth[best] >= max(worth.values()))
        said.append(found.next_probabilities[best])
    return {"seeds": seeds, "pairs": len(inside), "covered": sum(inside) / len(inside),
            "stated": sum(said) / seeds, "right": sum(right) / seeds}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=50)
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    start = time.process_time()
    found = {"all rows": of_evidence(given.seeds), "next rows": of_next_rows(given.seeds)}
    store(RESULT, {"law": LAW, "rows": ROWS, **found,
                   "CPU seconds": time.process_time() - start}, ("torch", "scikit-learn"))
    print(found)


if __name__ == "__main__":
    main()
