"""The multistart table: the network, its bounds and its errors against closed forms; a quick run
from end to end."""
import json
import math
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Generator

from benchmarks.evidence import boston
from benchmarks.evidence.boston import (
    QUICK, Model, Rows, Settings, descend, largest, predict, rmse, shapes)
from bstruct.evidence.closed_form import linear_log_evidence


def rows(n: int = 30, d: int = 2) -> Rows:
    g = Generator().manual_seed(0)
    x = torch.randn(n, d, generator=g)
    return Rows(x, x @ torch.linspace(-1, 1, d) + 0.5 + 0.3 * torch.randn(n, generator=g), 2.0)


LINEAR = [(2, 1)]  # no hidden layer: a linear model with a bias, where everything is known


def precision_matrix(r: Rows, a: float, variance: float) -> torch.Tensor:
    f = torch.cat([r.x, torch.ones(len(r.x), 1)], 1).double()
    return f.T @ f / variance + a * torch.eye(3).double()


def test_predict_is_the_network_of_torch():
    s = Settings(layers=2, width=4)
    layers = shapes(3, s)
    net = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Softplus(), torch.nn.Linear(4, 4),
                              torch.nn.Softplus(), torch.nn.Linear(4, 1))
    with torch.no_grad():
        for p in net.parameters():
            p.copy_(torch.randn(p.shape, generator=Generator().manual_seed(p.numel())))
        flat = torch.cat([p.t().reshape(-1) for p in net.parameters()])
        x = rows(7, 3).x
        assert torch.allclose(predict(flat, x, layers), net(x)[:, 0], atol=1e-5)


def test_noise_on_the_weights_adds_its_variance():
    r, w = rows(), torch.tensor([[0.3, -0.2, 0.1], [1.0, 1.0, 0.0]])
    still = rmse(w, r, LINEAR, 0.0, 5, 0)
    assert torch.allclose(still, torch.stack(
        [(predict(v, r.x, LINEAR) - r.y).square().mean().sqrt() for v in w]) * 2)
    noisy = rmse(w, r, LINEAR, 0.5, 4000, 0)
    added = 0.25 * (1 + r.x.square().sum(1).mean()) * r.unit**2
    assert torch.allclose(noisy**2, still**2 + added, rtol=0.06)  # three errors of 4000 draws


def test_largest_eigenvalue_and_joint_density():
    r = rows()
    model, w, a = Model(r, LINEAR, 0.1), torch.zeros(2, 3), torch.tensor([1.0, 5.0])
    size, _ = largest(model, w, a, torch.randn(2, 3, generator=Generator().manual_seed(1)), 30)
    want = [torch.linalg.eigvalsh(precision_matrix(r, float(v), 0.1))[-1] for v in a]
    assert torch.allclose(size.double(), torch.stack(want), rtol=1e-3)
    normal = torch.distributions.Normal
    out = predict(w[0] + 0.2, r.x, LINEAR)
    joint = normal(out, 0.1**0.5).log_prob(r.y).sum() + normal(0.0, 0.5**0.5).log_prob(
        w[0] + 0.2).sum()
    assert abs(float(model.joint(w[0] + 0.2, torch.tensor(2.0)) - joint)) < 1e-3


@pytest.mark.parametrize("langevin", [False, True])
def test_bound_of_the_descent_is_that_of_a_gaussian_and_below_the_evidence(langevin):
    r, a, variance = rows(), 2.0, 0.5
    s = Settings(starts=2000, steps=20, precisions=(a,), rate=0.3)
    last = list(descend(Model(r, LINEAR, variance), s, Generator().manual_seed(0), langevin))[-1]
    f = torch.cat([r.x, torch.ones(len(r.x), 1)], 1).double()
    exact = float(linear_log_evidence(f, r.y.double(), precision=a, noise_variance=variance))
    values, error = last["bound"], float(last["bound"].std()) / math.sqrt(2000)
    assert float(values.mean()) < exact + 3 * error and last["worst"].max() < 0.301
    if not langevin:
        lam, lr = precision_matrix(r, a, variance), float(last["lr"][0])
        shrink = torch.linalg.matrix_power(torch.eye(3).double() - lr * lam, 20)
        mode = torch.linalg.solve(lam, f.T @ r.y.double() / variance)
        cov, offset = shrink @ shrink / a, shrink @ mode
        top = float(Model(r, LINEAR, variance).joint(mode.float(), torch.tensor(a)))
        entropy = 1.5 * (1 + math.log(2 * math.pi / a)) - 20 * (lr * lam.trace() + lr**2
                                                                * (lam @ lam).trace())
        want = top - 0.5 * float((lam @ cov).trace() + offset @ lam @ offset) + float(entropy)
        assert abs(float(values.mean()) - want) < 4 * error + 1e-3


def test_normal_reaches_the_mean_field_bound():
    r, s = rows(), Settings(starts=1, precisions=(2.0,), noise_variance=0.5, adam_steps=1500)
    found = boston.normal(r, r, LINEAR, s, Generator().manual_seed(0))
    f = torch.cat([r.x, torch.ones(len(r.x), 1)], 1).double()
    exact = float(linear_log_evidence(f, r.y.double(), precision=2.0, noise_variance=0.5))
    lam = precision_matrix(r, 2.0, 0.5)
    gap = 0.5 * float(lam.diagonal().log().sum() - torch.linalg.slogdet(lam)[1])
    # a hundred draws, of deviation 1.2 each, and Adam's jitter
    assert abs(found["bound"] - (exact - gap)) < 0.5


def fake(n: int = 60):
    "Something like the data, without them."
    g = np.random.default_rng(0)
    x = g.normal(size=(n, 13))
    return x, 20 + x @ np.linspace(-2, 2, 13) + g.normal(size=n)


def test_split_is_standardised_and_disjoint():
    x, y = fake()
    train, test = boston.split(x, y, 3)
    assert len(train.x) == 48 and len(test.x) == 12
    assert train.x.mean(0).abs().max() < 1e-6 and abs(float(train.y.std(unbiased=False)) - 1) < 1e-5
    together = torch.cat([train.y, test.y]) * train.unit
    assert np.allclose(np.sort(together - together.mean()), np.sort(y - y.mean()), atol=1e-4)


def test_quick_run_writes_a_table_and_goes_on(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(boston, "boston", fake)
    boston.main(["--quick", "--splits", "1", "--out", str(tmp_path)])
    first = json.loads((tmp_path / "boston_1.json").read_text())
    found = first["splits"]["0"]
    assert set(boston.PUBLISHED[1]) < set(found) and "published" in capsys.readouterr().out
    assert all(len(r["rmse"]) == 3 and np.isfinite(r["rmse"]).all() for r in found.values())
    assert found["ML"]["rmse"][2] > found["ML"]["rmse"][0]
    assert found["Var + SGD"]["curve"] and found["Var + SGD"]["step"] <= QUICK.steps
    boston.main(["--quick", "--splits", "2", "--out", str(tmp_path)])
    again = json.loads((tmp_path / "boston_1.json").read_text())
    assert again["splits"]["0"] == found and len(again["splits"]) == 2
    assert "split 0" not in capsys.readouterr().out


def test_a_step_that_is_too_long_is_not_chosen(monkeypatch):
    train, test = boston.split(*fake(), 0)
    s = replace(QUICK, rate=5.0)
    found = boston.multistart(train, test, shapes(13, s), s, Generator().manual_seed(0), False)
    assert found["step"] == 0 and max(found["worst"]) > boston.DMA_LIMIT


def test_missing_data_are_explained(monkeypatch):
    monkeypatch.setitem(sys.modules, "mlxtend.data", None)
    with pytest.raises(SystemExit, match="pip install --no-deps mlxtend"):
        boston.boston()
