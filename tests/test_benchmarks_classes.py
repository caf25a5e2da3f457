"The benchmark of the judges of classes stores what it fits and prints pairs."
import json

import pytest

from benchmarks.evidence.classes import SEEDS, TABLES, main, rows_of, table


def test_rows_are_stored_and_not_made_again(tmp_path, capsys):
    out = tmp_path / "classes.json"
    main(["--quick", "--out", str(out)])
    first = out.read_bytes()
    rows = json.loads(first)["rows"]
    assert len(rows) == 2 * len(SEEDS) and all(0 < r["log_loss"] < 3 for r in rows)
    main(["--quick", "--out", str(out)])
    assert out.read_bytes() == first and "iris" in capsys.readouterr().out


def test_the_difference_is_of_pairs():
    row = lambda judge, seed, loss: {"table": "iris", "judge": judge, "seed": seed,
                                     "log_loss": loss, "cpu_seconds": 1.0}
    told = table([row("ensemble", 0, 0.3), row("prequential", 0, 0.1), row("ensemble", 1, 0.6),
                  row("prequential", 1, 0.2), row("ensemble", 2, 9.0)])
    assert "0.4500" in told and "+0.3000 ± 0.1000" in told


@pytest.mark.parametrize("name", [t for t in TABLES if t != "digits"])
def test_tables_are_split_anew_with_every_seed(name):
    a, b, y, target = rows_of(name, 0)
    assert len(a) == len(y) and len(b) == len(target) and set(y) == set(target)
    assert (rows_of(name, 0)[0] == a).all() and (rows_of(name, 1)[0] != a).any()
