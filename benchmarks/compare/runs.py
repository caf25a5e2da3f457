"""One run: a law, a seed and a number of rows; what every method picks, and what picks are
worth."""
import math
import time
import warnings

import torch
from torch import Tensor, nn

from benchmarks.compare.laws import COLUMNS, sample
from bstruct.core.random import generator_of
from bstruct.use.compare import compare, default_rows
from bstruct.use.comparison import Comparison, next_draws
from bstruct.use.rivals import Constant, Linear, Rival, rival_of
from bstruct.use.rows import balanced_orders, rows_of

FRESH = 20_000
ORDERS = 5


def mlp(width: int, depth: int):
    "A maker of a network with so many tanh layers."
    def made() -> nn.Module:
        layers, inputs = [], COLUMNS
        for _ in range(depth):
            layers += [nn.Linear(inputs, width), nn.Tanh()]
            inputs = width
        return nn.Sequential(*layers, nn.Linear(inputs, 1))
    return made


def designs(kind: str = "networks") -> dict:
    "Five of a user's; with the Bayesian line they are six, and the constant takes part, too."
    from sklearn.ensemble import GradientBoostingRegressor, RandomForestRegressor
    from sklearn.linear_model import BayesianRidge
    from sklearn.neighbors import KNeighborsRegressor
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import PolynomialFeatures
    from sklearn.tree import DecisionTreeRegressor

    if kind == "networks":
        return {"1x4": mlp(4, 1), "1x32": mlp(32, 1), "2x32": mlp(32, 2), "3x32": mlp(32, 3),
                "forest": RandomForestRegressor(50, min_samples_leaf=3)}
    return {"squares": make_pipeline(PolynomialFeatures(2), BayesianRidge()),
            "neighbours": KNeighborsRegressor(5), "tree": DecisionTreeRegressor(min_samples_leaf=5),
            "forest": RandomForestRegressor(30, min_samples_leaf=3),
            "boosting": GradientBoostingRegressor(n_estimators=40)}


def truth(found: Comparison, rivals: dict[str, Rival], law: str, n: int,
          seed: int) -> tuple[dict, dict, dict]:
    "Nats a row on fresh rows of each design fitted to all n, with the error; and its AIC and BIC."
    x, y = sample(law, n, seed)
    fresh_x, fresh_y = sample(law, FRESH, 10_000 + seed)
    rows = rows_of(torch.cat([x, fresh_x]), torch.cat([y, fresh_y]), "gaussian")
    all_, later = torch.arange(n), torch.arange(n, n + FRESH)
    worth, aic, bic = {}, {}, {}
    for name, rival in rivals.items():
        repeats = 2 if hasattr(rival, "model") else 1
        orders = torch.cat([all_, all_, later]).expand(repeats, -1)
        log_p = rival.log_p(rows, orders, n, 2 * n + FRESH, seed + 77)
        ways = found.ways[name].exp().mean(0)  # at the end, over the orders
        weights = (ways + 1 / (n * len(ways))) / (1 + 1 / n)
        whole = (log_p[..., n:] + weights.log()[None, :, None]).logsumexp(1)
        worth[name] = float(whole.mean())
        if found.parameters[name] is not None:
            fit, P = float(log_p[:, -1, :n].sum(-1).mean()), found.parameters[name] + 1
            aic[name], bic[name] = fit - P, fit - 0.5 * P * math.log(n)
    return worth, aic, bic


def stacked(each: Tensor) -> Tensor:
    """Weights [K] that maximise the log density of the mixture of rows with log densities [K, n],
    by EM."""
    weights = torch.full((len(each),), -math.log(len(each)), dtype=each.dtype)
    for _ in range(500):
        joint = weights[:, None] + each
        weights = (joint - joint.logsumexp(0)).logsumexp(1) - math.log(each.shape[1])
    return weights.exp()


def folds(rivals: dict[str, Rival], x: Tensor, y: Tensor, seed: int) -> Tensor:
    """Log densities [K, O, m] of another cross-validation of as many folds, each fit at its best
    stop over all folds."""
    n = len(x)
    rows = rows_of(x, y, "gaussian")
    orders = balanced_orders(n, ORDERS, generator_of(seed, "benchmark/folds"))
    found = [r.log_p(rows, orders, n - n // ORDERS, n, seed + 55) for r in rivals.values()]
    return torch.stack([p[:, p.mean((0, 2)).argmax()] for p in found])


def one(law: str, seed: int, n: int, kind: str = "networks") -> dict:
    "Picks, truth, probabilities and CPU seconds of one run."
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    x, y = sample(law, n, seed)
    start = time.process_time()
    found = compare(designs(kind), x, y, likelihood="gaussian", random_state=seed, orders=ORDERS)
    own = found.next_probabilities
    spent = time.process_time() - start
    rows = rows_of(x, y, "gaussian")
    rivals = {k: rival_of(k, m, rows) for k,
              m in designs(kind).items()} | {r.name: r for r in (Constant(), Linear())}
    last = found.log_p[..., -(n // ORDERS):]
    start = time.process_time()
    again = folds(rivals, x, y, seed)
    fold_seconds = time.process_time() - start
    worth, aic, bic = truth(found, rivals, law, n, seed)
    names = list(found.names)
    cv = dict(zip(names, (0.5 * (last.mean((1, 2)) + again.mean((1, 2)))).tolist()))
    once = dict(zip(names, again.mean((1, 2)).tolist()))
    stack = dict(zip(names, stacked(torch.cat([last.flatten(1), again.flatten(1)], 1)).tolist()))
    best = lambda of: max(of, key=of.__getitem__)
    whole = {k: e.value for k, e in found.evidence.items()}
    kinds = {"both": None, "rows": ("rows",), "orders": ("orders",), "none": ()}
    drawn = {k: next_draws(found.log_p, found.orders, found.bounds,
                           *([] if p is None else [400, p])).mean(0).tolist()
             for k, p in kinds.items()}
    sizes = [b - a for a, b in zip(found.bounds, found.bounds[1:])]
    sums = torch.stack([b.sum(-1) for b in found.log_p.split(sizes, -1)], -1)
    return {"law": law, "seed": seed, "n": n, "designs": kind, "names": names, "truth": worth,
            "picks": {"next rows": best(own), "all rows": best(whole),
                      "5-fold, two times": best(cv),
                      "5-fold, once": best(once),
                      "last block": best(dict(zip(names, last.mean((1, 2)).tolist()))),
                      "AIC": best(aic), "BIC": best(bic), "stacking": best(stack)},
            "next": own, "all": found.probabilities, "kinds": drawn, "cv": cv,
            "sums": [[[round(v, 3) for v in o] for o in k] for k in sums.tolist()],
            "pasts": list(default_rows(n, ORDERS)),
            "seconds": {"compare": spent, "one 5-fold": fold_seconds}}


def work(task: tuple[str, int, int, str]) -> dict:
    "The run of a law, a seed, a number of rows and a set of designs."
    return one(*task)
