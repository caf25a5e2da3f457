"""The cost of evidence: truths and likelihoods against others, the ratios by hand, and a run that
goes on."""
import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.evidence import __main__ as bench
from benchmarks.evidence import contestants, known
from bstruct.evidence.core import make_target
from bstruct.evidence.problems import grid_log_evidence, logistic_problem, tanh_problem
from bstruct.evidence.smc import smc

SAVED = Path(bench.__file__).parent / "results" / "evidence.json"


@pytest.mark.parametrize("name", known.problems())
def test_numpy_likelihood_is_that_of_the_problem(name):
    p = known.problems()[name]
    z = np.random.default_rng(0).normal(size=p.prior.size)
    want = float(make_target(p.log_likelihood, p.prior).log_likelihood(torch.tensor(z)))
    assert known.numpy_log_likelihood(p)(z) == pytest.approx(want, abs=1e-9)


def test_logistic_truth_against_quadrature():
    p = logistic_problem(2)
    x, y = (t.numpy() for t in p.data)
    t = np.linspace(-7, 7, 281)
    w = np.stack(np.meshgrid(t, t), -1).reshape(-1, 2)
    joint = -np.logaddexp(0, -y * (w @ x.T)).sum(1) - 0.5 * (w * w).sum(1) - math.log(2 * math.pi)
    want = np.log(np.exp(joint - joint.max()).sum()) + joint.max() + 2 * math.log(t[1] - t[0])
    value, error = known.logistic_truth(p, 20_000)
    assert abs(value - want) < 4 * error and error < 0.01


def test_tempering_with_the_output_integrated_meets_the_grid():
    small = tanh_problem(1, integrated=True)
    e = smc(small.log_likelihood, small.prior, generator=torch.Generator().manual_seed(0),
            islands=8, particles=64)
    assert abs(e.value - grid_log_evidence(small)) < 4 * e.stderr < 0.5
    assert known.truth(known.problems()["tanh 1"], "tanh 1", 8) == (grid_log_evidence(small), 0.0)


def row(value, cpu, stderr=0.2, reliable=True):
    return {"value": value, "stderr": stderr, "reliable": reliable, "cpu": cpu}


def test_ratios_by_hand():
    results = {"a": {"truth": -1.0, "error": 0.0, "methods": {
        "mixture": row(-1.5, 1.0, 0.01), "smc": row(-1.1, 2.0), "dynesty": row(
            -1.0, 50.0, 0.3, False),
        "dynesty rwalk": row(-1.2, 10.0)}}}
    found = bench.ratios(results, "mixture")["a"]
    assert found["cpu"] == pytest.approx(0.1) and found["gap"] == -0.5
    # four times dynesty's cost for half of its error
    assert found["same_error"] == pytest.approx(1 / 40)
    assert bench.ratios(results, "smc")["a"]["same_error"] == pytest.approx(0.2)
    assert "above 0.1 on none" in bench.summary(results)
    assert "0.500 nats (a)" in bench.summary(results)
    text = bench.table(results)
    assert "| a | -1.00 ± 0.00 | dynesty | +0.00 | 0.30 | 50.00 | stopped |" in text
    assert text.count("\n") == 5


def test_a_run_goes_on_and_measures_anew_only_when_asked(tmp_path, monkeypatch):
    calls = []
    fixed = lambda *names: lambda p, seed: calls.append(names) or {
        n: row(-12.0, 5.0) for n in names}
    monkeypatch.setattr(bench, "ours", fixed("mixture", "smc"))
    monkeypatch.setattr(bench, "dynesty_runs", fixed("dynesty", "dynesty rwalk"))
    arguments = ["--only", "polynomial 4", "--out", str(tmp_path)]
    bench.main(arguments)
    assert len(calls) == 3  # once for the imports
    found = json.loads((tmp_path / "evidence.json").read_text())["results"]["polynomial 4"][
        "methods"]
    assert set(found) == {"mixture", "smc", "dynesty", "dynesty rwalk", "BayesianRidge",
                          "ARDRegression"}
    assert found["BayesianRidge"]["stderr"] is None
    assert (tmp_path / "evidence.png").stat().st_size > 1000
    bench.main(arguments)
    assert len(calls) == 4
    bench.main([*arguments, "--again"])
    assert len(calls) == 7


def test_scikit_learns_scores():
    p = known.problems()["polynomial 4"]
    found = contestants.sklearn_run(p)
    assert found["BayesianRidge"]["value"] == pytest.approx(p.exact, abs=1e-8)
    e = found["ARDRegression"]  # its two faults explain the whole gap
    assert e["value"] - e["truth"] == pytest.approx(e["missing_constant"] + e["pruned_terms"],
                                                    abs=0.01)
    assert e["missing_constant"] == pytest.approx(10 * math.log(2 * math.pi))
    assert e["pruned_terms"] > 1


def test_dynesty_is_stopped_and_says_so():
    pytest.importorskip("dynesty")
    p = known.problems()["polynomial 4"]
    found = contestants.nested(p, 0, 3000, sample="rwalk")
    assert not found["reliable"] and found["calls"] >= 3000


def test_saved_results_are_complete():
    results = json.loads(SAVED.read_text())["results"]
    assert list(results) == list(known.problems())
    for name, r in results.items():
        peers = {"p": {"BayesianRidge", "ARDRegression"},
                 "l": {"torchbnn", "bayesian-torch", "blitz"},
                 "t": {f"laplace-torch {k}" for k in ("full", "kron", "diag")}}[name[0]]
        own = {"laplace", "mean-field", "full + K=1000", "mixture", "smc", "dynesty",
               "dynesty rwalk"}
        assert set(r["methods"]) == own | peers and r["error"] < 0.03
    assert "NaN" not in SAVED.read_text()
