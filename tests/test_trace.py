"""Every mode computes its objectives where the book derives them, in bstruct.objectives."""
import sys
import warnings
from collections import Counter
from pathlib import Path

import pytest
import torch

import bstruct.objectives
from bstruct.model.graph import Graph
from bstruct.objectives.coefficients import Coefficients, inner_objective
from bstruct.objectives.task import Task
from bstruct.search.modes.bilevel import bilevel
from bstruct.search.modes.family import MODES, search
from bstruct.search.settings import Settings
from bstruct.training import fits
from bstruct.training.compact import likelihood_pull
from bstruct.training.outer_plan import OuterPlan

ROOM = str(Path(bstruct.objectives.__file__).parent)
GRAPH = Graph.dense(2, 1, (4,), ("zero", "linear", "linear+tanh"))
QUICK = dict(epochs=2, min_steps=6, batch_size=16, starts=2, screened=2, finalists=1, replicas=1,
             samples=4, tempering=(1.0,))
KNOWN = [{"x->h1": torch.tensor([0.0, 1.0, 0.0])}]


def table(n: int = 48) -> Task:
    "Two inputs, of which the first counts."
    g = torch.Generator().manual_seed(0)
    x = torch.randn(n, 2, generator=g)
    return Task(x, torch.sin(2 * x[:, 0]) + 0.1 * torch.randn(n, generator=g), "gaussian")


def traced(run) -> Counter:
    "How often `run` enters each function of the objectives, by module and name."
    entered, before = Counter(), sys.getprofile()

    def note(frame, event, _):
        if event == "call" and frame.f_code.co_filename.startswith(ROOM):
            entered[Path(frame.f_code.co_filename).stem, frame.f_code.co_name] += 1

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        sys.setprofile(note)
        try:
            run()
        finally:
            sys.setprofile(before)
    return entered


def steps_of(entered: Counter) -> int:
    return entered["coefficients", "inner_objective"]


# path and flow train no weights by L: they integrate the output layer and compare widths by the
# Laplace evidence of bstruct.evidence.hidden; flow's gradient is in closed form
TRAINING = [m for m in MODES if m not in ("path", "flow")]


@pytest.mark.parametrize("mode", TRAINING)
def test_a_search_enters_the_objectives(mode, monkeypatch):
    "Where nothing is written out; that written-out steps are the same is tested below."
    monkeypatch.setattr(fits, "compact_of", lambda *_: None)
    entered = traced(lambda: search(GRAPH, table(),
                                    Settings(mode=mode, judge="prequential", **QUICK)))
    assert steps_of(entered) > 12, entered  # each step of each fit, and each report
    # a single level has its best h in closed form
    assert not entered["coefficients", "outer_objective"]
    assert entered["likelihoods", "gaussian_log_likelihood"]


@pytest.mark.parametrize("likelihood, outputs", [("gaussian", 1), ("bernoulli", 1),
                                                 ("categorical", 3)])
def test_a_written_out_step_follows_the_inner_objective(likelihood, outputs):
    "likelihood_pull, which steps take that do not enter the objectives, is the gradient of L."
    g = torch.Generator().manual_seed(0)
    out = torch.randn(4, 9, outputs, generator=g, dtype=torch.float64).requires_grad_()
    noise = torch.randn(4, generator=g, dtype=torch.float64).requires_grad_()
    y = (torch.randn(9, generator=g) > 0).long() if outputs > 1 else (
        torch.randn(9, generator=g, dtype=torch.float64) > 0).double()
    task = Task(torch.zeros(9, 1, dtype=torch.float64), y, likelihood)
    value = inner_objective(torch.stack([task.log_likelihood(o, y, s).mean() for o, s in
                                         zip(out, noise)]), 0.0, Coefficients(c_reg=0.0))
    want = torch.autograd.grad(-value.sum(), (out, noise), allow_unused=True)
    found, *pulls = likelihood_pull(likelihood, out.detach(), y, noise.detach())
    torch.testing.assert_close(found, value.detach(), rtol=1e-12, atol=1e-14)
    torch.testing.assert_close(pulls[0], want[0], rtol=1e-12, atol=1e-14)
    assert (pulls[1] is None) == (likelihood != "gaussian")
    if pulls[1] is not None:
        torch.testing.assert_close(pulls[1], want[1], rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("mode", TRAINING)
def test_the_dual_engine_enters_the_likelihood_of_the_objectives(mode):
    "It adds the precisions' evidence to ln p(y | W), which alone is derived there."
    entered = traced(lambda: search(GRAPH, table(),
                                    Settings(mode=mode, judge="laplace", **QUICK)))
    assert entered["task", "log_likelihood"] > 12, entered
    assert entered["likelihoods", "gaussian_log_likelihood"] > 12, entered


@pytest.mark.parametrize("mode", [m for m in MODES if m in ("evidence", "enumerate")])
def test_a_supernet_is_trained_by_both_objectives(mode):
    for more, judge in (({"c_prior": 0.5}, "bound"), ({"validation": 0.25}, "validation")):
        entered = traced(lambda more=more: search(
            GRAPH, table(), Settings(mode=mode, **more, **QUICK)))
        assert entered["outer", judge] >= 6 and entered["coefficients",
                                                        "outer_objective"] >= 6, entered
        assert entered["coefficients", "divergence"] and entered["coefficients", "scale_minibatch"]


def test_bilevel_enters_all_of_them():
    outer = OuterPlan(c_prior=0.5, c_comb=0.3, known=KNOWN, hyperprior=(2.0, 0.5))
    entered = traced(lambda: bilevel(GRAPH, table(), settings=Settings(**QUICK), outer=outer))
    for name in ("inner_objective", "outer_objective", "divergence", "scale_minibatch",
                 "log_hyperprior", "scheduled"):
        assert entered["coefficients", name] >= 6, name
    assert entered["outer", "bound"] >= 6 and entered["repulsion", "repulsion"] >= 6
    alone = traced(lambda: bilevel(GRAPH, table(), settings=Settings(**QUICK)))
    # reports only
    assert steps_of(alone) >= 6 and alone["outer", "bound"] <= 2
    assert not alone["repulsion", "repulsion"]


def test_the_trace_sees_what_is_not_there():
    assert not traced(lambda: torch.zeros(2) + 1) and not steps_of(traced(lambda: table()))
