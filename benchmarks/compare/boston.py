"""Evidence of small networks on the Boston table, after Javid and others (arXiv 2004.12211):
`python -m benchmarks.compare.boston [--splits 1 --seconds 1e9]`.

They sample the posteriors of networks of up to 156 weights, none to four hidden layers, tanh or
ReLU, with fixed and with hierarchical priors, by nested sampling, and report that evidence and
out-of-sample loss go together, that ReLU has the higher evidence throughout, and that an ensemble
by evidence is better than its parts. Here `of_module` estimates the evidence on half of the rows,
with the precision of each parameter learnt or fixed to 1 and the noise learnt, and the log
predictive on the other half is that of the fits of a comparison. Needs mlxtend, which ships the
data. A network takes about six CPU seconds and one prior more; rows are written as they are done.
Writes boston.json.
"""
import argparse
import json
import time
import warnings
from itertools import product
from pathlib import Path

import numpy as np
import torch
from torch import nn

from benchmarks.store import store
from bstruct.evidence import of_module
from bstruct.experiments.collection import load_entry
from bstruct.use.networks import Network
from bstruct.use.rows import rows_of

RESULT = Path(__file__).parent / "results/boston.json"
HIDDEN = ((), (4,), (8,), (4, 4), (4, 4, 4), (4, 4, 4, 4), (2,), (2, 2), (2, 2, 2))
ACTS = {"tanh": nn.Tanh, "relu": nn.ReLU}


def network(hidden: tuple[int, ...], act: str, inputs: int = 13) -> nn.Sequential:
    "A double network of these layers."
    layers = []
    for width in hidden:
        layers, inputs = [*layers, nn.Linear(inputs, width), ACTS[act]()], width
    return nn.Sequential(*layers, nn.Linear(inputs, 1)).double()


def halves(split: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    "Standardised columns and target, and an order of the rows whose first half is learnt from."
    entry = load_entry("boston")
    x, y = np.asarray(entry.X, float), np.asarray(entry.y, float)
    order = np.random.default_rng(split).permutation(len(y))
    past = order[:len(y) // 2]
    z = lambda v: torch.tensor((v - v[past].mean(0)) / v[past].std(0))
    return z(x), z(y), torch.tensor(order)


def one(hidden: tuple[int, ...], act: str, prior: str | float, split: int) -> dict:
    "Evidence, its error and marks, the loss on the other half, and CPU seconds."
    x, y, order = halves(split)
    n, start = len(y) // 2, time.process_time()
    net = network(hidden, act)
    e = of_module(net, x[order[:n]], y[order[:n]], likelihood="gaussian", prior_precision=prior)
    spent = time.process_time() - start
    fit = Network("net", lambda: network(hidden, act).float())
    later = fit.log_p(rows_of(x.float(), y.float(), "gaussian"), order[None], n, len(y), split)
    spread = float(y.numpy().std())  # rows_of tells nats in the unit that it was given
    return {"hidden": list(hidden), "act": act, "prior": prior, "split": split,
            "weights": sum(p.numel() for p in net.parameters()), "evidence": e.value,
            "stderr": e.stderr, "reliable": e.reliable, "method": e.method, "spread": spread,
            "later": float((later.logsumexp(1) - np.log(later.shape[1])).mean()),
            "CPU seconds": spent}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--splits", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=1e9)
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    rows = json.loads(RESULT.read_text())["rows"] if RESULT.exists() else []
    key = lambda r: (tuple(r["hidden"]), r["act"], r["prior"], r["split"])
    have = {key(r) for r in rows}
    for split, prior, hidden, act in product(range(given.splits), ("learn", 1.0), HIDDEN, ACTS):
        if (hidden, act, prior, split) in have or (not hidden and act == "relu"):
            continue
        if time.process_time() > given.seconds:
            break
        rows.append(one(hidden, act, prior, split))
        print(rows[-1], flush=True)
        store(RESULT, {"rows": rows}, ("torch",))


if __name__ == "__main__":
    main()
