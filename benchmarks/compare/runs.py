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
from bstruct.use.comparison import Comparison, next_draws, next_weights
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
          seed: int) -> tuple[dict, dict, dict, dict]:
    """Nats a row on fresh rows of each design fitted to all n; its AIC and BIC; and what n of the
    fresh rows would have told."""
    x, y = sample(law, n, seed)
    fresh_x, fresh_y = sample(law, FRESH, 10_000 + seed)
    rows = rows_of(torch.cat([x, fresh_x]), torch.cat([y, fresh_y]), "gaussian")
    all_, later = torch.arange(n), torch.arange(n, n + FRESH)
    worth, aic, bic, each = {}, {}, {}, []
    for name, rival in rivals.items():
        repeats = 2 if hasattr(rival, "model") else 1
        orders = torch.cat([all_, all_, later]).expand(repeats, -1)
        log_p = rival.log_p(rows, orders, n, 2 * n + FRESH, seed + 77)
        ways = found.ways[name].exp().mean(0)  # at the end, over the orders
        weights = (ways + 1 / (n * len(ways))) / (1 + 1 / n)
        whole = (log_p[..., n:] + weights.log()[None, :, None]).logsumexp(1)
        worth[name] = float(whole.mean())
        each.append(whole.mean(0))
        if found.parameters[name] is not None:
            fit, P = float(log_p[:, -1, :n].sum(-1).mean()), found.parameters[name] + 1
            aic[name], bic[name] = fit - P, fit - 0.5 * P * math.log(n)
    return worth, aic, bic, by_fresh_rows(torch.stack(each), n, seed)


DRAWS = 500


def by_fresh_rows(each: Tensor, n: int, seed: int) -> dict:
    """What the design costs that leads on n fresh rows, from log densities [K, fresh rows] of
    designs fitted to n others: a rule that nobody has, since these rows would be fitted, too.

    Mean loss in nats a row over draws of n rows, and the share of draws that lose more than .05.
    """
    g = generator_of(seed, "benchmark/fresh")
    drawn = torch.stack([each[:, torch.randint(each.shape[1], (n,), generator=g)].mean(1)
                         for _ in range(DRAWS)])
    lost = each.mean(1).max() - each.mean(1)[drawn.argmax(1)]
    return {"mean": float(lost.mean()), "above": float((lost > 0.05).double().mean())}


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


def shares(drawn: Tensor) -> list[float]:
    "In which share of the draws [draws, K] each design leads."
    return (torch.bincount(drawn.argmax(1), minlength=drawn.shape[1]) / len(drawn)).tolist()


def covered(drawn: Tensor, truth: Tensor) -> list[int]:
    """For how many pairs with the leading design the lead on fresh rows lies within 1.96 deviations
    of what is drawn, and of how many."""
    mean, lead = drawn.mean(0), int(drawn.mean(0).argmax())
    inside = ((mean[lead] - mean) - (truth[lead] - truth)).abs() <= 1.96 * (
        drawn[:, lead:lead + 1] - drawn).std(0)
    return [int(inside.sum()) - 1, len(truth) - 1]


def judged(found: Comparison, again: Tensor, worth: dict, aic: dict, bic: dict,
           fresh: dict) -> dict:
    """What every method picks, from a comparison, another cross-validation [K, O, m] and the
    information criteria; what the comparison states; and the loss by as many fresh rows."""
    last = found.log_p[..., -again.shape[-1]:]
    table = lambda values: dict(zip(found.names, values.tolist()))
    best = lambda of: max(of, key=of.__getitem__)
    cv = table(0.5 * (last.mean((1, 2)) + again.mean((1, 2))))
    stack = table(stacked(torch.cat([last.flatten(1), again.flatten(1)], 1)))
    drawn = next_draws(found.log_p, found.orders, found.bounds)
    n, m = found.bounds[-1], found.bounds[-1] - found.bounds[-2]
    bare = drawn.mean(0) + (drawn - drawn.mean(0)) / math.sqrt(1 + ORDERS * m / (n - m))
    blocks = [b.mean((1, 2)) for b in found.log_p.split(
        [b - a for a, b in zip(found.bounds, found.bounds[1:])], -1)]
    return {"names": list(found.names), "truth": worth, "fresh": fresh,
            "picks": {"next rows": found.best,
                      "all rows": best({k: e.value for k, e in found.evidence.items()}),
                      "switching": best(table(next_weights(found.log_p, found.bounds))),
                      "last block": best(table(last.mean((1, 2)))),
                      "5-fold, once": best(table(again.mean((1, 2)))),
                      "5-fold, two times": best(cv), "AIC": best(aic), "BIC": best(bic),
                      "stacking": best(stack)},
            "next": found.next_probabilities, "next errors": found.next_errors,
            "all": found.probabilities,
            "uncorrected": dict(zip(found.names, shares(bare))),
            "switching": table(next_weights(found.log_p, found.bounds).exp()),
            "covered": covered(drawn, torch.tensor([worth[k] for k in found.names],
                                                   dtype=drawn.dtype)),
            "blocks": [[round(v, 4) for v in b.tolist()] for b in blocks], "cv": cv}


def one(law: str, seed: int, n: int, kind: str = "networks") -> dict:
    "Picks, truth, probabilities and CPU seconds of one run."
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    x, y = sample(law, n, seed)
    start = time.process_time()
    found = compare(designs(kind), x, y, likelihood="gaussian", random_state=seed, orders=ORDERS)
    assert found.next_probabilities  # what is asked for is paid for
    spent = time.process_time() - start
    rows = rows_of(x, y, "gaussian")
    rivals = {k: rival_of(k, m, rows) for k,
              m in designs(kind).items()} | {r.name: r for r in (Constant(), Linear())}
    start = time.process_time()
    again = folds(rivals, x, y, seed)
    fold_seconds = time.process_time() - start
    told = judged(found, again, *truth(found, rivals, law, n, seed))
    return {"law": law, "seed": seed, "n": n, "designs": kind, **told,
            "pasts": list(default_rows(n, ORDERS)),
            "seconds": {"compare": spent, "one 5-fold": fold_seconds}}


def work(task: tuple[str, int, int, str]) -> dict:
    "The run of a law, a seed, a number of rows and a set of designs."
    return one(*task)
