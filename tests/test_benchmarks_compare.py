"The comparison of ways to choose: the plan is balanced, torn files are read, tables are right."
import json
import math
from collections import Counter

import numpy as np
import pytest
import torch

from benchmarks.compare.__main__ import SIZES, measured, plan
from benchmarks.compare.laws import LAWS, sample
from benchmarks.compare.coverage import compared, of_evidence, of_next_rows
from benchmarks.compare.runs import by_fresh_rows, covered, one, shares, stacked
from benchmarks.compare.tables import KINDS, calibration, losses, report, row


def run(law, seed, n, truth, picks, p):
    names = list(truth)
    return {"law": law, "seed": seed, "n": n, "names": names, "truth": truth, "picks": picks,
            **dict.fromkeys(KINDS, p), "covered": [len(names) - 1, len(names) - 1],
            "seconds": {"compare": 1.0, "one 5-fold": 0.5}}


def test_every_law_and_size_has_a_seed_before_any_has_the_next():
    tasks = plan(3)
    assert len(set(tasks)) == len(tasks) == 12 * len(SIZES) * 3
    first = tasks[:12 * len(SIZES)]
    assert {t[1] for t in first} == {0}
    assert set(Counter((t[0], t[2]) for t in first).values()) == {1}
    assert set(Counter(t[2] for t in tasks[:12]).values()) == {3}


def test_laws_have_a_signal_of_variance_one_and_fresh_rows():
    for name, law in LAWS.items():
        x, y = sample(name, 4000, 0)
        noise = law.noise if not law.tails else law.noise * np.sqrt(3)
        want = 1 + noise**2 if name != "nothing" else 1.0
        assert y.var().item() == np.clip(y.var().item(), 0.8 * want, 1.35 * want)
        assert not torch.equal(x[:100], sample(name, 100, 1)[0])
        assert torch.equal(y, sample(name, 4000, 0)[1])


def test_stacking_weighs_the_better_law_and_halves_two_that_share_the_rows():
    g = torch.Generator().manual_seed(0)
    y = torch.randn(4000, generator=g, dtype=torch.float64)
    right, wrong = (torch.distributions.Normal(m, 1.0).log_prob(y) for m in (0.0, 3.0))
    assert stacked(torch.stack([right, wrong]))[0] > 0.98
    both = torch.cat([y, y + 3])
    each = torch.stack([torch.distributions.Normal(m, 1.0).log_prob(both) for m in (0.0, 3.0)])
    assert abs(float(stacked(each)[0]) - 0.5) < 0.05


def test_losses_and_calibration_and_a_torn_file(tmp_path):
    truth = {"a": -1.0, "b": -1.2}
    rows = [run("line", s, 100, truth, {"next rows": "b" if s < 2 else "a", "all rows": "a"},
                {"a": 0.8, "b": 0.2}) for s in range(10)]
    assert losses(rows, "next rows").tolist() == [0.19999999999999996] * 2 + [0.0] * 8
    told = row(rows, "next rows")
    assert told["above"] == 0.2 and told["best"] == 0.8 and abs(told["mean"] - 0.04) < 1e-12
    c = calibration(np.array([0.6] * 50 + [0.9] * 50),
                    np.array([1.0, 1, 1, 0, 0] * 10 + [1.0] * 50))
    assert abs(c["error"] - 0.05) < 1e-9 and c["counts"] == [20] * 5
    lines = [json.dumps(r) for r in rows]
    (tmp_path / "networks.jsonl").write_text("\n".join([*lines, lines[0], lines[1][:40]]))
    assert len(measured(tmp_path)) == 10
    found = report(measured(tmp_path), tmp_path)
    assert found["networks"]["runs"] == 10
    stored = json.loads((tmp_path / "summary.json").read_text())
    assert "command" in stored.pop("about") and stored == json.loads(json.dumps(found))
    assert found["networks"]["covered"] == 1.0 and found["networks"]["odd seeds"][0]["runs"] == 5


def test_what_true_probabilities_are_off_by():
    rng = np.random.default_rng(1)
    p = rng.uniform(0.5, 1, 100)
    off = [calibration(p, (rng.random(100) < p).astype(float))["error"] for _ in range(200)]
    assert abs(np.mean(off) - calibration(p, np.ones(100))["by chance"]) < 0.01


def test_leads_are_shared_out_and_covered():
    drawn = torch.tensor([[0.0, 1.0, -9.0], [0.2, 0.0, -9.0], [0.0, 1.2, -9.0], [0.1, 1.0, -9.0]])
    assert shares(drawn) == [0.25, 0.75, 0.0]
    # the lead of the second over the first is stated as .725 ± .63; over the third as 9.8 ± .5
    assert covered(drawn, torch.tensor([0.0, 0.5, -9.0])) == [2, 2]
    assert covered(drawn, torch.tensor([0.0, 0.5, -7.0])) == [1, 2]


def test_a_run_of_estimators_measures_every_method():
    found = one("line", 0, 40, "estimators")
    assert set(found["truth"]) == set(found["names"]) == set(found["next"])
    assert set(found["picks"].values()) <= set(found["names"]) and len(found["picks"]) == 9
    best = max(found["truth"], key=found["truth"].get)
    assert best in ("linear", "squares") and abs(sum(found["next"].values()) - 1) < 1e-9
    assert json.loads(json.dumps(found)) == found


def test_coverage_in_small():
    assert compared(0, 1).names == ("neighbours", "tree", "constant", "linear")
    assert of_evidence(3)["covered"] >= 0.8
    assert of_next_rows(1)["pairs"] == 3


@pytest.mark.slow
def test_stated_errors_cover_over_fifty_seeds():
    # six pairs of one comparison are not independent: at least 50 trials at .95 have deviation .031
    found = of_evidence(50)
    assert 0.95 - 2 * 0.031 <= found["covered"] <= 1.0
    assert found["without Student's t"] < found["covered"]
    later = of_next_rows(50)
    assert later["covered"] >= 0.95 - 2 * 0.031
    # on this law the pick is right more often than is stated; it must not be less often
    assert later["stated"] - later["right"] < 2 * 0.07


def test_fresh_rows_mislead_as_often_as_the_normal_law_says():
    g = torch.Generator().manual_seed(0)
    noise = torch.randn(20_000, generator=g, dtype=torch.float64)
    lead = 0.1 + noise - noise.mean()
    found = by_fresh_rows(torch.stack([lead, torch.zeros_like(lead)]), 50, 3)
    wrong = float(torch.special.ndtr(-0.1 * math.sqrt(50) / lead.std()))
    spread = math.sqrt(wrong * (1 - wrong) / 500)  # of 500 draws
    assert abs(found["above"] - wrong) < 4 * spread
    assert found["mean"] == pytest.approx(0.1 * found["above"])
