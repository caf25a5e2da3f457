"""The GPU pack on the processor, tiny: the form of its JSON, and that a section that fails stops
nothing else."""
import json
import time

import pytest
import torch

from benchmarks.gpu import __main__ as pack_main
from benchmarks.gpu import plots
from benchmarks.gpu.pack import Pack, Section, header, plain, run_all

HEAD = {"benchmark", "form", "device", "machine", "versions", "date", "command", "quick", "seconds",
        "sections"}


def test_quick_run_writes_the_form_and_its_figures(tmp_path):
    out = tmp_path / "cpu.json"
    asked = ["--device", "cpu", "--quick", "--seconds", "60", "--out", str(out), "--sections",
             "machine,rate,memory"]
    assert pack_main.main(asked) == 0
    found = json.loads(out.read_text())
    assert set(found) == HEAD and found["device"] == "cpu"
    assert found["versions"]["torch"] == torch.__version__
    assert [s["status"] for s in found["sections"].values()] == ["done"] * 3
    assert str(tmp_path) not in out.read_text()  # no path of a machine
    tiles, whole = (found["sections"]["rate"][k] for k in ("tiles", "whole"))
    assert {r["tile"] for r in tiles} == {r["tile"] for r in whole} == {4, 8}
    for row in tiles:  # the rate is the time of a step, turned round
        assert row["eager_a_minute"] == pytest.approx(
            60e3 * row["tile"] / (row["eager_ms"] * row["steps"]))
    assert all(r["finite"] and 0.2 < -r["nats_a_row"] < 10 for r in whole)
    assert [p.suffix for p in plots.draw(out)] == [".svg", ".png"]
    assert out.with_suffix(".png").stat().st_size > 5000
    assert pack_main.main([*asked[:-1], "machine", "--keep"]) == 0
    assert set(json.loads(out.read_text())["sections"]) == {"machine", "rate", "memory"}


def test_a_section_that_fails_or_takes_too_long_stops_nothing_else(tmp_path):
    def fails(pack):
        pack.row("table", a=1)
        raise RuntimeError("a kernel that is not there")

    def slow(pack):
        pack.note(so_far=1)
        try:
            while True:
                time.sleep(0.01)
        except Exception:  # a library that swallows errors does not swallow the end of the time
            pack.note(swallowed=True)

    def partly(pack):
        pack.attempt("table", {"row": 1}, lambda: 1 / 0)
        pack.attempt("table", {"row": 2}, dict, {"value": float("nan")})

    out, device = tmp_path / "x.json", torch.device("cpu")
    pack = Pack(device, True, out, header(device, "test", True, 30.0))
    works = {"fails": Section(1, fails), "slow": Section(1, slow), "partly": Section(28, partly)}
    assert run_all(pack, works, 30.0) == []  # about a second for the slow one
    found = json.loads(out.read_text())["sections"]
    assert {n: s["status"] for n, s in found.items()} == {"fails": "failed", "slow": "cut",
                                                          "partly": "done"}
    assert found["fails"]["table"] == [{"a": 1}] and "not there" in found["fails"]["error"]
    assert found["slow"]["so_far"] == 1 and "swallowed" not in found["slow"]
    assert found["slow"]["seconds"] < 15
    first, second = found["partly"]["table"]
    assert first["error"].startswith("ZeroDivisionError") and second["value"] is None


def test_a_section_without_time_says_so_and_numbers_become_plain():
    device = torch.device("cpu")
    pack = Pack(device, True, None, header(device, "test", True, 0.1))
    run_all(pack, {"late": Section(1, lambda pack: pack.note(ran=True))}, 0.1)
    assert pack.found["sections"]["late"]["status"] == "not run"
    assert plain({"a": torch.tensor(2), "b": (float("inf"), None, True)}) == {
        "a": 2, "b": [None, None, True]}


def test_an_unknown_section_is_refused_with_the_known(capsys):
    with pytest.raises(SystemExit):
        pack_main.main(["--device", "cpu", "--sections", "rates"])
    assert "'rates'" in capsys.readouterr().err
