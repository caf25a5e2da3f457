"""Gap to the truth (nats) and CPU seconds of every evidence estimator and of other libraries, on the test problems.

    python -m benchmarks.evidence            the estimators of bstruct, dynesty and scikit-learn
    python -m benchmarks.evidence --peers    also laplace-torch, torchbnn, bayesian-torch and blitz, in .bench/

Writes results/evidence.json and results/evidence.png beside this file and prints the table. Truths are exact, or from
quadrature, or from a long run of sequential Monte Carlo combined with the mixture (then with an error of their own).
"""
import argparse
import json
import math
import statistics
import subprocess
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import torch

from bstruct.evidence import estimate
from bstruct.evidence.problems import (
    Problem,
    grid_log_evidence,
    logistic_problem,
    polynomial_problem,
    tanh_problem,
)
from bstruct.evidence.smc import smc

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
PACKAGES = ("torch==2.13.0", "numpy", "scipy", "laplace-torch", "torchbnn", "bayesian-torch", "blitz-bayesian-pytorch")


def problems() -> dict[str, Problem]:
    logistic = {f"logistic {d}": logistic_problem(d) for d in (10, 30)}
    return {"polynomial 4": polynomial_problem(4), **logistic,
            "tanh 1": tanh_problem(1), "tanh 2": tanh_problem(2), "tanh 3": tanh_problem(3),
            "tanh 3, seed 7": tanh_problem(3, 7), "tanh 4": tanh_problem(4), "tanh 4, seed 7": tanh_problem(4, 7)}


def truth(p: Problem, name: str, particles: int) -> tuple[float, float]:
    "ln Z and its error."
    if p.exact is not None:
        return p.exact, 0.0
    if name == "tanh 1":
        return grid_log_evidence(tanh_problem(1, integrated=True)), 0.0
    e = smc(p.log_likelihood, p.prior, generator=torch.Generator().manual_seed(12345), islands=32, particles=particles)
    return e.value, e.stderr


def entry(value: float, stderr: float, reliable: bool, start: float) -> dict:
    return {"value": value, "stderr": stderr, "reliable": reliable, "cpu": time.process_time() - start}


def ours(p: Problem, seed: int) -> dict:
    "Every estimator: (ln Z, error, reliable), timed."
    mean_field = {"family": "mean_field", "importance": 1, "groups": 4000}
    calls = {"laplace": ("laplace", {}), "mean-field": ("variational", mean_field),
             "full + K=1000": ("variational", {}), "mixture": ("mixture", {"units": p.units}), "smc": ("smc", {})}
    found = {}
    for label, (method, options) in calls.items():
        g, start = torch.Generator().manual_seed(seed), time.process_time()
        e = estimate(p.log_likelihood, p.prior, method=method, generator=g, **options)
        found[label] = entry(e.value, e.stderr, e.reliable, start)
    return found


def numpy_log_likelihood(p: Problem):
    "The likelihood of a flat whitened vector in numpy, as a user of dynesty would write it."
    x, y = (t.numpy() for t in p.data)
    scale = p.prior.scale.numpy()
    if "w" in p.prior.shapes and p.exact is not None:
        return lambda z: float(-0.5 * (((y - x @ (z * scale)) ** 2) / 0.09 + math.log(2 * math.pi * 0.09)).sum())
    if "w" in p.prior.shapes:
        return lambda z: float(-np.logaddexp(0, -y * (x @ (z * scale))).sum())
    h, constant = p.prior.shapes["a"][0], len(y) * math.log(2 * math.pi * 0.04)

    def network(z):
        w = z * scale
        r = y - np.tanh(x[:, None] * w[:h] + w[h:2 * h]) @ w[2 * h:3 * h] - w[-1]
        return float(-0.5 * (r @ r / 0.04 + constant))
    return network


def dynesty_run(p: Problem, seed: int) -> dict:
    import dynesty
    from scipy.special import ndtri

    start = time.process_time()
    sampler = dynesty.NestedSampler(numpy_log_likelihood(p), ndtri, p.prior.size, rstate=np.random.default_rng(seed))
    sampler.run_nested(print_progress=False)
    r = sampler.results
    return entry(float(r.logz[-1]), float(r.logzerr[-1]), True, start)


def sklearn_run(p: Problem) -> dict:
    "The `scores_` of the two Bayesian regressions, with their hyperparameters fixed by flat starts and no iterations."
    from sklearn.linear_model import ARDRegression, BayesianRidge

    x, y = (t.numpy() for t in p.data)
    flat = dict.fromkeys(("alpha_1", "alpha_2", "lambda_1", "lambda_2"), 0)
    options = {"compute_score": True, "fit_intercept": False, "max_iter": 1, **flat}
    found = {}
    for name, model in (("BayesianRidge", BayesianRidge(alpha_init=1 / 0.09, lambda_init=1.0, **options)),
                        ("ARDRegression", ARDRegression(**options))):
        start = time.process_time()
        model.fit(x, y)
        found[name] = entry(float(model.scores_[0]), math.nan, False, start)
    return found


def peers_run(named: dict[str, Problem]) -> dict:
    "The libraries that live in .bench/, made on the first call."
    python = ROOT / ".bench/bin/python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", ROOT / ".bench"], check=True)
        subprocess.run([python, "-m", "pip", "install", "-q", *PACKAGES], check=True)
        subprocess.run([python, "-m", "pip", "uninstall", "-q", "-y", "torchvision"], check=True)
    lists = lambda p: {"x": p.data[0].tolist(), "y": p.data[1].tolist(), "weights": p.prior.size}
    data = {name: lists(p) for name, p in named.items()}
    done = subprocess.run([python, HERE / "peers.py"], input=json.dumps(data), capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    return json.loads(done.stdout.splitlines()[-1])


def table(results: dict) -> str:
    rows = ["| problem | truth | method | gap | stderr | CPU s | |", "| --- | --- | --- | --- | --- | --- | --- |"]
    for name, r in results.items():
        for method, e in r["methods"].items():
            note = "" if e["reliable"] else "refused" if method == "mixture" else "no error given"
            rows.append(f"| {name} | {r['truth']:.2f} ± {r['error']:.2f} | {method} | {e['value'] - r['truth']:+.2f} | "
                        f"{e['stderr']:.2f} | {e['cpu']:.2f} | {note} |")
    return "\n".join(rows)


def plot(results: dict, path: Path) -> None:
    import matplotlib
    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    fig, ax = plt.subplots(figsize=(7, 4.5))
    methods = list(dict.fromkeys(m for r in results.values() for m in r["methods"]))
    marks = "osD^v<>PX*hd+x"
    for method, mark in zip(methods, marks):
        pairs = [(r["methods"][method]["cpu"], abs(r["methods"][method]["value"] - r["truth"]))
                 for r in results.values() if method in r["methods"]]
        ax.loglog(*zip(*[(c, max(gap, 1e-3)) for c, gap in pairs]), mark, label=method, alpha=0.8)
    ax.set(xlabel="CPU seconds", ylabel="|gap| in nats (0.001 and less at the bottom)")
    ax.legend(fontsize=7, ncol=2)
    fig.tight_layout()
    fig.savefig(path, dpi=110)


def summary(results: dict) -> str:
    """The ratios that matter: cost relative to dynesty, and the largest gap of a reliable estimate.

    `at 0.1 nats` scales the cost of each method to a standard error of 0.1, as 1 / error², where its error is larger.
    """
    scaled = lambda e: e["cpu"] * max(1.0, e["stderr"] / 0.1) ** 2
    lines = []
    for method in ("mixture", "smc"):
        rows = [r for r in results.values() if "dynesty" in r["methods"]]
        cost = [r["methods"][method]["cpu"] / r["methods"]["dynesty"]["cpu"] for r in rows]
        fair = [scaled(r["methods"][method]) / scaled(r["methods"]["dynesty"]) for r in rows]
        trusted = [r for r in results.values() if r["methods"][method]["reliable"]]
        gap = max(abs(r["methods"][method]["value"] - r["truth"]) for r in trusted)
        lines.append(f"{method}: CPU / dynesty median {statistics.median(cost):.3f}, worst {max(cost):.3f}; "
                     f"at 0.1 nats median {statistics.median(fair):.3f}, worst {max(fair):.3f}; "
                     f"largest gap of a reliable estimate {gap:.3f} nats")
    return "\n".join(lines)


def save(results: dict, seed: int) -> None:
    out = HERE / "results"
    out.mkdir(exist_ok=True)
    (out / "evidence.json").write_text(json.dumps({"seed": seed, "results": results}, indent=1) + "\n")
    plot(results, out / "evidence.png")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", action="store_true", help="run the libraries of .bench/, too")
    parser.add_argument("--only", action="append", help="a problem by name, put among the saved results; repeatable")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--particles", type=int, default=256, help="particles an island for the truths, of 32 islands")
    args = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    named = {k: p for k, p in problems().items() if not args.only or k in args.only}
    saved = HERE / "results" / "evidence.json"
    results = json.loads(saved.read_text())["results"] if args.only and saved.exists() else {}
    others = peers_run(named) if args.peers else {}
    ours(polynomial_problem(1), args.seed)  # once unmeasured, for imports
    for name, p in named.items():
        methods = ours(p, args.seed) | {"dynesty": dynesty_run(p, args.seed)}
        methods |= (sklearn_run(p) if p.exact is not None else {}) | others.get(name, {})
        value, error = truth(p, name, args.particles)
        results[name] = {"truth": value, "error": error, "methods": methods}
        print(table({name: results[name]}), flush=True)
        save(results, args.seed)
    print("\n" + table(results) + "\n\n" + summary(results))


if __name__ == "__main__":
    main()
