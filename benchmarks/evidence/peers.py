"""Evidence by laplace-torch, torchbnn, bayesian-torch and blitz; runs in .bench/, problems as JSON
on stdin.

Prints one line of JSON: problem -> method -> value, stderr, reliable, cpu. What each library calls
evidence or bound is reported as it comes by default; nothing is corrected.
"""
import json
import sys
import time
import warnings

import torch
from torch import nn

warnings.simplefilter("ignore")
torch.set_default_dtype(torch.float64)
torch.set_num_threads(1)


def entry(value, start):
    return {"value": float(value), "stderr": None, "reliable": False,
            "cpu": time.process_time() - start}


def laplace_torch(x, y, units):
    """The tanh network with the same prior, its MAP by L-BFGS from 16 starts, then the library's
    evidence."""
    from laplace import Laplace
    from torch.utils.data import DataLoader, TensorDataset

    x, y = x[:, None], y[:, None]
    precision = torch.tensor([0.25, 0.5, 0.5, 0.5])  # weights and biases of the two layers
    start, best = time.process_time(), None
    for seed in range(16):
        torch.manual_seed(seed)
        net = nn.Sequential(nn.Linear(1, units), nn.Tanh(), nn.Linear(units, 1))
        optimizer = torch.optim.LBFGS(net.parameters(), max_iter=500, line_search_fn="strong_wolfe")

        def closure(net=net, optimizer=optimizer):
            optimizer.zero_grad()
            loss = 0.5 * ((net(x) - y) ** 2).sum() / 0.04
            loss = loss + 0.5 * sum(a * (p * p).sum() for a, p in zip(precision, net.parameters()))
            loss.backward()
            return loss
        optimizer.step(closure)
        if best is None or closure() < best[0]:
            best = (float(closure()), net)
    search = time.process_time() - start
    found = {}
    for structure in ("full", "kron", "diag"):
        start = time.process_time()
        la = Laplace(best[1], "regression", subset_of_weights="all", hessian_structure=structure,
                     sigma_noise=0.2, prior_precision=precision)
        la.fit(DataLoader(TensorDataset(x, y), batch_size=len(x)))
        found[f"laplace-torch {structure}"] = entry(la.log_marginal_likelihood(), start - search)
    return found


def bound(layer, kl, x, sign, steps=1500):
    "Adam on the library's own objective, then its value averaged over 2000 draws."
    optimizer = torch.optim.Adam(layer.parameters(), lr=0.02)
    objective = lambda: nn.functional.logsigmoid(sign * layer(x).squeeze(-1)).sum() - kl()
    for _ in range(steps):
        optimizer.zero_grad()
        (-objective()).backward()
        optimizer.step()
    with torch.no_grad():
        return torch.stack([objective() for _ in range(2000)]).mean()


def variational(x, sign):
    """Mean-field logistic regression with prior N(0, 1) in three libraries, KL terms as they come
    by default."""
    found, d = {}, x.shape[1]
    torch.manual_seed(0)
    start = time.process_time()
    import torchbnn
    layer = torchbnn.BayesLinear(prior_mu=0, prior_sigma=1, in_features=d, out_features=1,
                                 bias=False)
    kl = torchbnn.BKLLoss(last_layer_only=False)
    found["torchbnn"] = entry(bound(layer, lambda: kl(layer).squeeze(), x, sign), start)
    start = time.process_time()
    from bayesian_torch.layers import LinearReparameterization
    layer = LinearReparameterization(d, 1, prior_mean=0, prior_variance=1, posterior_rho_init=-3.0,
                                     bias=False)
    plain = lambda x: layer.forward(x, return_kl=False)
    layer.__call__ = plain

    class Plain(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = layer

        def forward(self, x):
            return self.layer(x, return_kl=False)
    found["bayesian-torch"] = entry(bound(Plain(), layer.kl_loss, x, sign), start)
    start = time.process_time()
    from blitz.modules import BayesianLinear
    layer = BayesianLinear(d, 1, bias=False, prior_sigma_1=1.0, prior_sigma_2=1.0, prior_pi=1.0)
    found["blitz"] = entry(bound(layer, lambda: layer.log_variational_posterior - layer.log_prior,
                                 x, sign), start)
    return found


def run(name, p):
    "The libraries that have a model for the problem."
    x, y = torch.tensor(p["x"]), torch.tensor(p["y"])
    if name.startswith("tanh"):
        return laplace_torch(x, y, (p["weights"] - 1) // 3)
    return variational(x, y) if name.startswith("logistic") else {}


def main():
    out = {}
    for name, p in json.load(sys.stdin).items():
        run(name, p)  # once unmeasured, for imports and first calls
        out[name] = run(name, p)
    print(json.dumps(out))


if __name__ == "__main__":
    main()
