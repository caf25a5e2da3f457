"The comparison of structure searches runs from end to end, and names structures of the graph."
import json
import time
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.ensemble import HistGradientBoostingRegressor

from benchmarks.__main__ import main as all_benchmarks
import bstruct.search.work.tiles as tiles
from benchmarks.search import again, cluster, ranks, tasks, tuned
from benchmarks.search.__main__ import main, scores, summarise
from benchmarks.search.contestants import BSTRUCT, PLAIN, Fitted
from benchmarks.search.data import Table, load
from bstruct.model.presets import dense
from bstruct.search.settings import Settings
from bstruct.search.stages import relearnt
from bstruct.search.stages.relearnt import ShortFits
from bstruct.search.stages.sifting import different, drawn


def moons(n: int = 120):
    "Two classes on a ring that no linear map tells apart."
    g = torch.Generator().manual_seed(0)
    x = torch.randn(n, 2, generator=g)
    return x, (x.norm(dim=1) > 1.1).long()


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    out = tmp_path_factory.mktemp("results")
    main(["--quick", "--seeds", "2", "--out", str(out)])
    return out


def test_quick_run_writes_what_it_measured(results):
    for name, metrics, methods in (("digits", {"accuracy", "log_loss"}, 7),
                                   ("diabetes", {"rmse", "coverage", "log_loss"}, 4)):
        found = json.loads((results / f"{name}.json").read_text())
        assert found["quick"] and found["seeds"] == 2 and found["structures"] == 216
        assert len(found["rows"]) == 2 * methods and len(found["summary"]) == methods
        assert {(r["method"], r["seed"])
                for r in found["rows"]} == {(m, s) for m in found["summary"] for s in (0, 1)}
        reference = found["rows"][0]["method"]
        for row in found["rows"]:
            assert metrics <= row.keys() and all(np.isfinite(row[k]) for k in metrics)
            assert row["cpu_seconds"] > 0
            base = next(r for r in found["rows"]
                        if (r["method"], r["seed"]) == (reference, row["seed"]))
            assert row["cpu_ratio"] == pytest.approx(row["cpu_seconds"] / base["cpu_seconds"])
        for method, summary in found["summary"].items():
            mine = [r["log_loss"] for r in found["rows"] if r["method"] == method]
            assert summary["log_loss"] == pytest.approx(
                [sum(mine) / 2, abs(mine[0] - mine[1]) / 2**0.5])
        assert (results / f"{name}.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"


def test_quick_run_names_admissible_structures(results):
    rows = json.loads((results / "digits.json").read_text())["rows"]
    graph = dense(64, 10, (8, 8))
    assert {r["method"] for r in rows
            if r["structure"] is None} == {"MLPClassifier", "average of 3 random"}
    for row in rows:
        if row["structure"]:
            assert row["structure"].keys() == graph.choices.keys()
            assert all(row["structure"][e] in names for e, names in graph.choices.items())
    of = lambda method: [r["structure"] for r in rows if r["method"] == method]
    assert of(BSTRUCT) == of(PLAIN)


def test_scores_against_sums_written_out():
    table = load("diabetes").head(50, 4)
    y = table.y[1]
    mean, std = y + np.array([0.0, 1.6, -1.7, 3.0]), np.ones(4)
    found = scores(table, Fitted(lambda: (mean, std)))
    squares = (0 + 1.6**2 + 1.7**2 + 9) / 4
    assert found["coverage"] == 0.5  # 1.645 is the limit
    assert found["rmse"] == pytest.approx(squares**0.5)
    assert found["log_loss"] == pytest.approx(0.5 * np.log(2 * np.pi) + squares / 2)


def test_summary_of_one_seed_has_no_spread():
    assert summarise([{"method": "a", "seed": 0, "rmse": 2.0, "structure": None}]) == {
        "a": {"rmse": [2.0, 0.0]}}


def test_ranks_count_from_the_best():
    structures = list(dense(2, 2, (4,), ("zero", "linear", "linear+relu")).structures())
    rows = [{"method": "m", "structure": structures[2]},
            {"method": "m", "structure": structures[0]},
            {"method": "none", "structure": None}]
    found = ranks.picks(rows, structures, np.array([0.5, 0.1, 0.2]))
    assert found == {"m": {"index": [2, 0], "ranks": [2, 3], "median": 2.5,
                           "above_best": pytest.approx(0.25)}}


def test_ranks_quick_run_ranks_the_stored_picks_and_keeps_its_fits(results, tmp_path, capsys):
    quick = ["--quick", "--seeds", "1", "--picks", str(results), "--out", str(tmp_path)]
    ranks.main(quick)
    first = json.loads((tmp_path / "ranks_digits.json").read_text())
    assert len(first["truth"]) == 216 and first["log_loss"] == [first["truth"]]
    rows = json.loads((results / "digits.json").read_text())["rows"]
    for method, found in first["picks"].items():
        chosen = [r["structure"] for r in rows if r["method"] == method]
        assert [first["structures"][i] for i in found["index"]] == chosen
        assert found["ranks"] == [sum(t < first["truth"][i] for t in first["truth"]) + 1
                                  for i in found["index"]]
    assert (tmp_path / "ranks_digits.png").exists() and "216 of 216" in capsys.readouterr().out
    ranks.main(quick)
    assert json.loads((tmp_path / "ranks_digits.json").read_text()) == first
    assert "216 of 216" not in capsys.readouterr().out  # read again, not fitted again


def test_single_fits_prefer_the_structure_that_can_learn():
    x, y = moons(200)
    graph = dense(2, 2, (16,), ("zero", "linear", "linear+tanh"))
    seen, rest = ranks.halves(ranks.Task(x, y, "categorical"))
    losses = ranks.fitted_losses(graph, seen, rest, list(graph.structures()), 0, 300)
    assert losses[2] < 0.5 < losses[:2].min()  # the classes are about equal: ln 2 without the input
    assert losses[0] == pytest.approx(np.log(2), abs=0.05)


def test_dispatcher_knows_its_benchmarks(capsys):
    with pytest.raises(SystemExit) as stop:
        all_benchmarks(["nonsense"])
    assert stop.value.code == 2 and "search" in capsys.readouterr().err
    with pytest.raises(SystemExit) as stop:
        main(["--seeds", "0", "--quick"])
    assert stop.value.code == 2 and "at least 1" in capsys.readouterr().err


def test_words_are_the_categories_of_the_training_rows():
    frames = (pd.DataFrame({"a": [1.0, 2.0], "b": ["u", None]}),
              pd.DataFrame({"a": [3.0], "b": ["w"]}))
    table = Table("own", frames, (np.eye(2), np.eye(2)[:1]), (np.array([0, 1]), np.array([0])))
    learn, test = table.typed
    assert learn.b.cat.categories.tolist() == ["u"] and learn.b.isna().tolist() == [False, True]
    assert test.b.isna().all() and test.a.tolist() == [3.0]
    numbers, named = load("diabetes"), load("diabetes", words=("sex",))
    assert named.typed[0].sex.nunique() == 2 and named.typed[0].sex.dtype == "category"
    assert np.array_equal(named.raw[0].bmi, numbers.raw[0][:, 2])


def test_trees_state_the_error_of_rows_that_they_did_not_see():
    table = load("diabetes").head(120, 40)
    mean, std = tuned.trees(table, 0, 0.25).predict()
    errors = np.abs(table.y[1] - mean)
    assert len(set(std)) == 1 and 0.5 < std[0] / np.sqrt(np.mean(errors**2)) < 2
    fitted = HistGradientBoostingRegressor(random_state=0).fit(table.raw[0], table.y[0])
    assert np.array_equal(mean, fitted.predict(table.raw[1]))  # all rows are in the second fit


def test_large_tables_cost_less_a_row():
    asked = SimpleNamespace(quick=False, trials=25, flaml_seconds=20.0, gluon_seconds=60.0,
                            limit=120.0)
    small, middle, large = (tasks.budget(n, asked) for n in (100, 9000, 90_000))
    assert small == {"trials": 25, "flaml": 20.0, "autogluon": 60.0, "bstruct": None}
    assert middle == {**small, "trials": 10}
    assert large == {"trials": 5, "flaml": 60.0, "autogluon": 120.0, "bstruct": 120.0}


def test_a_run_of_tasks_is_kept_and_not_repeated(tmp_path, capsys):
    quick = ["--quick", "--seeds", "1", "--data", "steps", "--methods", "scikit-learn", "trees",
             "--out", str(tmp_path)]
    tasks.main(quick)
    first = json.loads((tmp_path / "tasks.json").read_text())
    assert [r["method"] for r in first["rows"]] == ["scikit-learn", "trees"]
    assert first["tables"]["steps"]["training rows"] == 750
    assert first["about"]["machine"] and first["tables"]["steps"]["about"]["command"]
    assert not list(tmp_path.glob("*.journal")) and "rmse" in capsys.readouterr().out
    tasks.main(quick)
    assert json.loads((tmp_path / "tasks.json").read_text())["rows"] == first["rows"]
    with pytest.raises(SystemExit, match="holds results of steps for"):
        tasks.main(quick[1:])  # not quick: another budget


def test_rules_for_whole_fits_are_played_as_a_search_would_play_them():
    "Candidates have effects on whole fits that short ones show in part."
    graph, g = dense(4, 2, (8, 8)), torch.Generator().manual_seed(0)
    every, normal = different(graph), lambda *shape: torch.randn(*shape, generator=g).double()
    code = torch.stack([torch.cat([v.encode(s[e]).double() for e, v in graph.variables.items()])
                        for s in every])
    both, late = 10 * normal(code.shape[1]), 15 * normal(code.shape[1])
    mean = code @ (both + late)
    whole = mean[:, None] + normal(4) + normal(len(every), 4)
    groups = drawn(len(every), 0)
    at = [i for group in groups for i in group]
    search = again.Search(graph, ShortFits(every, groups, (code @ both)[at] + normal(96)), whole, 0)
    played = {k: play(search) for k, play in again.rules(Settings(), len(every)).items()}
    behind, share = lambda k: mean.max() - mean[played[k][0]], lambda k: len({*played[k][1]})
    assert behind("all networks") < 3 and played["all networks"][2] == 155 + 12
    for rule, (pick, some, fits) in played.items():
        assert pick in some and len({*some}) == len(some)
        assert rule == "all networks" or fits <= 32
    assert share("short fits, as before") == share("learnt again, rounds as before") == 16
    assert {share(k) for k in played if "rounds" not in k and "before" not in k} == {20, 155}
    first = played["model of short fits"][1][:10]
    for rule in ("learnt again, largest mean", "expected improvement", "Thompson sampling"):
        assert played[rule][1][:10] == first
    assert behind("learnt again, largest mean") < 3
    known = {i: float(whole[i, 0]) for i in first}
    z = again.posterior(search, known, 4000)
    exact = relearnt.expected_whole(graph, search.short, known)
    assert np.corrcoef(z.mean(0), exact)[0, 1] > 0.999
    assert z.std(0)[first].mean() < z.std(0).mean()


def test_a_cluster_is_tried_with_times_that_were_measured(monkeypatch):
    found = cluster.measured(SimpleNamespace(quick=True, tiles=1))
    assert set(found["serial"]) == {"order", "multiple", "posteriors"} and len(found["measured"]) == 1
    assert all(v > 0 for v in (*found["serial"].values(), *found["measured"].values()))
    monkeypatch.setattr(tiles, "score", tiles.score)  # put back when the test ends
    graph, *_ = cluster.problem(True)
    own = cluster.tiles_of(graph)
    cluster.asleep({json.dumps(own[1][0]): 0.2}, found["record"])
    begin = time.perf_counter()
    records = tiles.score(None, own[1])
    assert 0.2 <= time.perf_counter() - begin < 2 and records == [found["record"]] * 32
    with pytest.raises(KeyError):  # no tile of the run
        tiles.score(None, own[0])
