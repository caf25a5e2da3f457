"""The comparison of evidence estimators as selectors of structures runs from end to end, resumes,
and charges fairly."""
import json

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr

from benchmarks.evidence import curvature, fits, mean_field, selection
from benchmarks.search.data import Table
from bstruct.evidence.prequential import mixture_over_stops
from bstruct.model.presets import dense
from bstruct.model.structure import encode
from bstruct.model.supernet import Supernet
from bstruct.search.settings import Settings
from bstruct.objectives.task import Task
from bstruct.training.batch import make_batch, one_hot, weight_kl

QUICK = ["--quick", "--seeds", "1", "--only", "plain", "late", "growing", "fixed_prior", "laplace"]


def problem(n=48, seed=0):
    "A small task of the benchmark's shape."
    g = torch.Generator().manual_seed(seed)
    graph = dense(40, 10, (64, 64))
    task = Task(torch.randn(n, 40, generator=g), torch.arange(n) % 10, "categorical")
    return selection.Problem(graph, list(graph.structures()), task, seed, selection.SKETCH)


def signals(name):
    """A table of mnist1d's shape, which needs no package: noise, in which a class moves its own
    columns."""
    rng = np.random.default_rng(0)
    y = rng.permutation(np.repeat(np.arange(10), 100))
    x = rng.normal(size=(len(y), 40))
    x[np.arange(len(y)), 4 * y] += 2
    raw = x[:700], x[700:]
    return Table(name, raw, raw, (y[:700], y[700:]))


def test_quick_run_measures_against_the_truth_and_resumes(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(selection.data, "load", signals)
    selection.main([*QUICK, "--out", str(tmp_path)])
    first = json.loads((tmp_path / "selection.json").read_text())
    losses = np.array(list(json.loads(selection.TRUTH.read_text())["test_log_loss"].values()))
    truth = losses.mean(0)
    assert first["quick"] and len(first["ceiling"]) == len(losses)
    assert len(first["rows"]) == 4 + 4 + 3 + 1 + 2
    for row in first["rows"]:
        score = np.array(row["score"])
        assert score.shape == (216,) and np.isfinite(score).all() and row["cpu_seconds"] > 0
        assert row["cpu_ratio"] == pytest.approx(row["cpu_seconds"] / row["reference_seconds"])
        # scores are rounded
        assert row["spearman"] == pytest.approx(spearmanr(score, -truth).statistic, abs=0.02)
        assert row["top20"] <= row["top5"] <= row["pick"] <= 216
        assert first["summary"][row["estimator"]]["pick"] == [row["pick"], 0.0]
    assert (tmp_path / "selection.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    capsys.readouterr()
    selection.main([*QUICK, "--out", str(tmp_path)])
    assert json.loads((tmp_path / "selection.json").read_text()) == first
    assert "seed 0" not in capsys.readouterr().out  # read again, not measured again


def test_refuses_no_seeds(capsys):
    with pytest.raises(SystemExit) as stop:
        selection.main(["--seeds", "0", "--quick"])
    assert stop.value.code == 2 and "at least 1" in capsys.readouterr().err


def test_plain_fits_are_the_supernet():
    graph = dense(3, 2, (4, 4))
    g = torch.Generator().manual_seed(0)
    x = torch.randn(7, 3, generator=g)
    weights = [w.detach() + 0.1 * torch.randn(w.shape, generator=g)[:1]
               for w in fits.start(g, 3, 2, 4)]
    w1, b1, w2, b2, w3, b3 = (w[0] for w in weights)
    named = {"x->h1": (w1[:, :4], b1[:4]), "x->h2": (w1[:, 4:], b1[4:]), "h1->h2": (w2, b2),
             "h2->y": (w3, b3)}
    net = Supernet(graph, share=True)
    own = {}
    for name, shape in net.weight_shapes.items():
        w, b = named[name.partition("/")[0]]
        own[name] = b if name.endswith("bias") else w
        assert own[name].shape == shape
    structures = list(graph.structures())
    found = torch.cat([fits.outputs(weights, first, x) for first in fits.ACTIVATIONS])
    for s, out in zip(structures, found):
        assert torch.allclose(out, net(own, encode(graph, s, torch.float32), x), atol=1e-5), s


def test_mixture_is_charged_for_every_prediction_and_a_fixed_stop_for_one():
    log_p = torch.randn(2, 3, 1, 5, generator=torch.Generator().manual_seed(0))
    training, predicting = np.array([1.0, 3.0, 7.0]), np.array([0.1, 0.2, 0.4])
    fixed = selection.stopped(log_p, training, predicting, (2, 4, 8), (4,))
    mixed = selection.stopped(log_p, training, predicting, (2, 4, 8), (2, 4))
    assert fixed.seconds == pytest.approx(3.2) and mixed.seconds == pytest.approx(3.3)
    assert torch.allclose(fixed.score, log_p[:, 1, 0].double().sum(-1))
    assert torch.allclose(mixed.score, mixture_over_stops(log_p[:, :2].double()))


def test_kl_counts_what_the_data_can_feel():
    p = problem()
    net, g = Supernet(p.graph, share=True), torch.Generator().manual_seed(0)
    some = [dict(zip(p.graph.choices, names)) for names in (
        ("linear+relu", "linear", "linear+tanh"), ("zero", "zero", "linear+relu"),
                                                            ("linear", "linear", "zero"))]
    batch = make_batch(net, g, [48] * 3, 1.0, one_hot(net, some))
    found, whole = selection.felt_kl(batch, p.graph, some), weight_kl(batch)
    assert found[0] == pytest.approx(float(whole[0]), rel=1e-5)
    assert found[1] < 0.2 * whole[1] and found[2] < 0.6 * whole[2]
    edges = {name.partition(" ")[0] for name in selection.felt(p.graph, some[2])}
    assert edges == {"x->h2", "h2->y"}
    assert selection.felt(p.graph, some[1]) == {"h1->h2 bias", "h2->y bias"}


def test_kl_of_layers_is_that_of_normals_and_masked_as_the_batch_is():
    p, g = problem(), torch.Generator().manual_seed(0)
    loc = [torch.randn(w.shape, generator=g) for w in fits.start(g, 40, 10)]
    scale = [torch.randn(w.shape, generator=g) - 2 for w in loc]
    found = mean_field.divergences(loc, scale)
    for m, s, kl in zip(loc, scale, found):
        prior = torch.distributions.Normal(0.0, m.shape[1]**-0.5 if m.ndim == 3 else 1.0)
        assert torch.allclose(kl, torch.distributions.kl_divergence(
            torch.distributions.Normal(m, s.exp()), prior), rtol=1e-3,
                              atol=1e-4)
    # x -> h1 is linear
    total = selection.felt_of(curvature.layers(found), p.graph, p.structures[36:72])
    every = sum(kl[35].sum() for kl in found)
    assert total[35] == pytest.approx(float(every), rel=1e-5)  # no edge is zero
    assert total[0] == pytest.approx(float(found[5][0].sum()), rel=1e-5)  # the output's bias alone


def test_complexity_prefers_its_own_precision():
    g = torch.Generator().manual_seed(0)
    spectrum, squares = 50 * torch.rand(3, 40, generator=g), 4 * torch.rand(3, generator=g) + 1
    best = curvature.complexity(spectrum, squares)
    at = lambda tau: 0.5 * tau * squares + 0.5 * torch.log1p(spectrum / tau).sum(1)
    grid = torch.stack([at(10**t) for t in torch.linspace(-3, 3, 400)])
    assert torch.allclose(grid.amin(0), best, rtol=1e-3) and (best <= grid.amin(0) + 1e-3).all()


def test_estimators_share_the_default_settings():
    assert selection.Effort().settings == Settings(mode="enumerate")
