"""Who takes part: every method gives name -> {value, stderr, reliable, cpu} on a problem, all in
nats and CPU seconds."""
import json
import math
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch

from benchmarks.evidence.known import numpy_log_likelihood
from bstruct.evidence import estimate
from bstruct.evidence.closed_form import linear_log_evidence
from bstruct.evidence.problems import Problem

HERE = Path(__file__).parent
ENVIRONMENT = HERE.parents[1] / ".bench"
# All four libraries ask for torchvision, which none of them needs here and which would replace a
# CPU torch: they are installed without what they ask for, and what they do import is listed beside
# them.
TORCH = ("torch==2.13.0", "numpy", "scipy")
ALONE = ("laplace-torch==0.3", "torchbnn==1.2", "bayesian-torch==0.5.0",
         "blitz-bayesian-pytorch==0.2.8",
         "asdfghjkl==0.1a4", "backpack-for-pytorch", "curvlinops-for-pytorch")
NEEDED = ("tqdm", "opt-einsum", "einops", "einconv", "unfoldNd", "torchmetrics", "scikit-learn",
          "linear_operator", "pillow")
NESTED = ("dynesty", "dynesty rwalk")
# The most calls of the likelihood by a run of dynesty; ellipsoids that fit badly waste them, at 0.2
# ms each.
MAX_CALLS = {"ellipsoids": 150_000, "else": 3_000_000}


def entry(value: float, stderr: float | None, reliable: bool, start: float, **notes) -> dict:
    "A row of the table; None for what the method does not give."
    error = None if stderr is None or not math.isfinite(stderr) else stderr
    return {"value": value, "stderr": error, "reliable": reliable,
            "cpu": time.process_time() - start} | notes


def calls(p: Problem) -> dict[str, tuple[str, dict]]:
    "Label -> (method, options) of the estimators of bstruct."
    mean_field = {"family": "mean_field", "importance": 1, "groups": 4000}
    return {"laplace": ("laplace", {}), "mean-field": ("variational", mean_field),
            "full + K=1000": ("variational", {}),
            "mixture": ("mixture", {"units": p.units}), "smc": ("smc", {})}


def ours(p: Problem, seed: int) -> dict:
    "The estimators of bstruct with their defaults."
    found = {}
    for label, (method, options) in calls(p).items():
        g, start = torch.Generator().manual_seed(seed), time.process_time()
        e = estimate(p.log_likelihood, p.prior, method=method, generator=g, **options)
        found[label] = entry(e.value, e.stderr, e.reliable, start)
    return found


def nested(p: Problem, seed: int, max_calls: int, dlogz: float | None = None, **options) -> dict:
    "dynesty's static nested sampling; unreliable where it was stopped by the limit on calls."
    import dynesty
    from scipy.special import ndtri

    start, random = time.process_time(), np.random.default_rng(seed)
    sampler = dynesty.NestedSampler(numpy_log_likelihood(p), ndtri, p.prior.size, rstate=random,
                                    **options)
    sampler.run_nested(print_progress=False, maxcall=max_calls, dlogz=dlogz)
    r = sampler.results
    used = int(np.sum(r.ncall))
    return entry(float(r.logz[-1]), float(r.logzerr[-1]), used < max_calls, start, calls=used)


def dynesty_runs(p: Problem, seed: int) -> dict:
    """By default (it draws from ellipsoids below ten weights, walks up to twenty, slices above)
    and with walks always."""
    by_default = "ellipsoids" if p.prior.size < 10 else "else"
    return {"dynesty": nested(p, seed, MAX_CALLS[by_default]),
            "dynesty rwalk": nested(p, seed, MAX_CALLS["else"], sample="rwalk")}


def sklearn_run(p: Problem) -> dict:
    """The `scores_` of the two Bayesian regressions.

    BayesianRidge is held at the hyperparameters of the problem (flat hyperpriors, one iteration).
    ARDRegression cannot
    be: it is fitted, and judged by the exact evidence at the hyperparameters that it found, without
    what it pruned.
    """
    from sklearn.linear_model import ARDRegression, BayesianRidge

    x, y = (t.numpy() for t in p.data)
    options = {"compute_score": True, "fit_intercept": False} | dict.fromkeys(
        ("alpha_1", "alpha_2", "lambda_1", "lambda_2"), 0)
    start = time.process_time()
    ridge = BayesianRidge(alpha_init=1 / 0.09, lambda_init=1.0, max_iter=1, **options).fit(x, y)
    found = {"BayesianRidge": entry(float(ridge.scores_[0]), None, False, start)}
    start = time.process_time()
    ard = ARDRegression(tol=1e-8, **options).fit(x, y)
    found["ARDRegression"] = entry(float(ard.scores_[-1]), None, False, start)
    kept = ard.lambda_ < ard.threshold_lambda
    own = linear_log_evidence(p.data[0][:, torch.tensor(kept)], p.data[1],
                              noise_variance=1 / ard.alpha_,
                              precision=torch.tensor(ard.lambda_[kept]))
    found["ARDRegression"] |= {"truth": float(own), "missing_constant": len(y) / 2
                               * math.log(2 * math.pi),
                               "pruned_terms": float(0.5 * np.log(ard.lambda_[~kept]).sum())}
    return found


def make_environment(python: Path) -> None:
    "The environment of the other libraries, with a CPU torch and no torchvision."
    subprocess.run([sys.executable, "-m", "venv", ENVIRONMENT], check=True)
    limits = ENVIRONMENT / "constraints.txt"
    limits.write_text(TORCH[0] + "\n")
    for packages in (TORCH, ("--no-deps", *ALONE), ("-c", limits, *NEEDED)):
        subprocess.run([python, "-m", "pip", "install", "-q", *packages], check=True)


def peers_run(p: Problem, name: str) -> dict:
    "The libraries that live in .bench/, made on the first call."
    python = ENVIRONMENT / "bin/python"
    if not (ENVIRONMENT / "ready").exists():
        make_environment(python)
        (ENVIRONMENT / "ready").touch()
    data = {name: {"x": p.data[0].tolist(), "y": p.data[1].tolist(), "weights": p.prior.size}}
    done = subprocess.run([python, HERE / "peers.py"], input=json.dumps(data), capture_output=True,
                          text=True)
    if done.returncode:
        raise RuntimeError(f"peers.py failed in {ENVIRONMENT.name}; remove that folder to make "
                           "it anew\n"
                           + done.stderr[-2000:])
    return json.loads(done.stdout.splitlines()[-1])[name]


def versions() -> dict[str, str]:
    "What was compared."
    fixed = dict(p.split("==") for p in ALONE if "==" in p and not p.startswith("asdf"))
    return {k: version(k) for k in ("torch", "dynesty", "scikit-learn")} | fixed
