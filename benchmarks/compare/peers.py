"""What peers choose among the networks: `python -m benchmarks.compare.peers`.

Needs laplace-torch, preqtorch and arviz, in an environment of their own:

    python -m venv PEERS && PEERS/bin/pip install laplace-torch preqtorch arviz && PEERS/bin/pip
    install -e .

For every run with networks that `benchmarks.compare` has stored, the four networks are ranked by
laplace-torch's log marginal likelihood (full curvature, prior precision and noise learnt by it,
after 600 steps of Adam), and by preqtorch's code length in the same blocks of rows. Both take
modules alone, so that their picks are judged among the four networks, beside those of `compare`
restricted to them. ArviZ's stacking takes what `Comparison.to_arviz` hands over, of all designs; it
is asked in the runs of estimators with 100 and 300 rows, with the first seeds of every law
(`--stacking SEEDS`, which leaves the other peers as they are stored), and needs arviz alone.
Writes peers.json.
"""
import argparse
import contextlib
import io
import json
import math
import time
import warnings
from importlib import metadata
from pathlib import Path

import torch
from torch import Tensor, nn

from benchmarks.compare.__main__ import measured
from benchmarks.compare.laws import sample
from benchmarks.compare.runs import ORDERS, designs
from benchmarks.store import store
from bstruct.use.compare import compare, default_rows

RESULTS = Path(__file__).parent / "results"
NETWORKS = ("1x4", "1x32", "2x32", "3x32")


class Batched(nn.Module):
    "A network with a noise of its own, called as preqtorch calls it: with a whole batch."

    def __init__(self, make):
        super().__init__()
        self.net, self.noise = make(), nn.Parameter(torch.tensor(-1.0))

    def forward(self, batch):
        return self.net(batch[0]).squeeze(-1)


def code_length(make, x: Tensor, y: Tensor, bounds: list[int], seed: int) -> float:
    "preqtorch's code length of the rows after the first block, in nats."
    from preqtorch import BlockEncoder, ModelClass
    from torch.utils.data import DataLoader, TensorDataset

    made = []

    def kept(model):
        made.append(model)
        return model

    def loss(batch, output):
        s = made[-1].noise.exp()
        return 0.5 * ((batch[1] - output) / s) ** 2 + s.log() + 0.5 * math.log(2 * math.pi)

    part = lambda a, b, size: DataLoader(TensorDataset(x[a:b], y[a:b]), size, shuffle=size < b - a)
    train = [part(0, b, max(32, b // 4)) for b in bounds]
    later = [part(a, b, b - a) for a, b in zip([0, *bounds], bounds)]
    encoder = BlockEncoder(ModelClass(Batched, "cpu", {"make": make}, kept), "cpu")
    with contextlib.redirect_stdout(io.StringIO()):
        found = encoder.encode(train, later, "rows", seed, loss, learning_rate=0.01, epochs=80)
    return -sum(found.history[1:])  # the first block is predicted from nothing


def marginal_likelihood(make, x: Tensor, y: Tensor, seed: int) -> float:
    "laplace-torch's log marginal likelihood of all rows, in nats."
    from laplace import Laplace
    from torch.utils.data import DataLoader, TensorDataset

    torch.manual_seed(seed)
    net, loader = make(), DataLoader(TensorDataset(x, y[:, None]), len(x))
    adam = torch.optim.Adam(net.parameters(), 0.01, weight_decay=1e-3)
    for _ in range(600):
        adam.zero_grad()
        (net(x).squeeze(-1) - y).square().mean().backward()
        adam.step()
    model = Laplace(net, "regression", subset_of_weights="all", hessian_structure="full")
    model.fit(loader)
    free = [torch.zeros(1, requires_grad=True), torch.zeros(1, requires_grad=True)]
    adam = torch.optim.Adam(free, 0.1)
    for _ in range(100):
        adam.zero_grad()
        loss = -model.log_marginal_likelihood(free[0].exp(), free[1].exp())
        loss.backward()
        adam.step()
    return -float(loss)


def stacking(run: dict) -> dict:
    "ArviZ's weights of the designs of a run, and what the largest of them loses."
    import arviz

    x, y = sample(run["law"], run["n"], run["seed"])
    found = compare(designs(run["designs"]), x, y, likelihood="gaussian",
                    random_state=run["seed"], orders=ORDERS)
    weights = arviz.compare(found.to_arviz(), var_name="y")["weight"].to_dict()
    truth, pick = run["truth"], max(weights, key=weights.__getitem__)
    best = max(truth.values())
    return {k: run[k] for k in ("law", "seed", "n")} | {
        "pick": pick, "weight": weights[pick], "lost": best - truth[pick],
        "compare": best - truth[run["picks"]["next rows"]]}


def one(run: dict) -> dict:
    "What the peers pick in a run, and what each pick loses."
    x, y = sample(run["law"], run["n"], run["seed"])
    y = (y - y.mean()) / y.std()
    makers, bounds = designs("networks"), [*default_rows(run["n"], ORDERS), run["n"]]
    best = lambda of: max(of, key=of.__getitem__)
    among = lambda of: best({k: of[k] for k in NETWORKS})
    picks, seconds = {"compare": among(run["next"]), "5-fold": among(run["cv"])}, {}
    for name, ask in (
            ("laplace-torch", lambda k: marginal_likelihood(makers[k], x, y, run["seed"])),
            ("preqtorch", lambda k: code_length(makers[k], x, y, bounds, run["seed"]))):
        start = time.process_time()
        picks[name] = best({k: ask(k) for k in NETWORKS})
        seconds[name] = time.process_time() - start
    truth = run["truth"]
    lost = {k: truth[among(truth)] - truth[v] for k, v in picks.items()}
    return {k: run[k] for k in ("law", "seed", "n")} | {
        "picks": picks, "lost": lost, "seconds": seconds}


def judged(runs: list[dict], stored: dict) -> None:
    "laplace-torch and preqtorch in every run with networks."
    stored |= {"runs": [], "versions": stored.get("versions", {}) | {
        k: metadata.version(k) for k in ("laplace-torch", "preqtorch")}}
    for run in runs:
        stored["runs"].append(one(run))
        print(stored["runs"][-1], flush=True)
        store(RESULTS / "peers.json", stored)


def stacked(runs: list[dict], stored: dict) -> None:
    "ArviZ in the runs that are given."
    stored |= {"stacking": [], "versions": stored.get("versions", {}) | {
        "arviz": metadata.version("arviz")}}
    for run in runs:
        stored["stacking"].append(stacking(run))
        print(stored["stacking"][-1], flush=True)
        store(RESULTS / "peers.json", stored)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--stacking", type=int, metavar="SEEDS")
    seeds = parser.parse_args().stacking
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    runs, path = measured(RESULTS), RESULTS / "peers.json"
    stored = json.loads(path.read_text()) if path.exists() else {}
    stored = {k: v for k, v in stored.items() if k in ("runs", "stacking", "versions")}
    if seeds is None:
        judged([r for r in runs if r["designs"] == "networks"], stored)
    stacked([r for r in runs if r["designs"] == "estimators" and r["n"] in (100, 300)
             and r["seed"] < (3 if seeds is None else seeds)], stored)


if __name__ == "__main__":
    main()
