"""Files of results say where they come from, and are whole."""
import json

import numpy as np
import pytest

from benchmarks.store import origin, store


def test_a_file_of_results_says_where_when_and_how_it_was_made(tmp_path, monkeypatch):
    monkeypatch.setattr("sys.argv", ["x", "--seeds", "3"])
    store(tmp_path / "new" / "a.json", {"rows": [1], "about": "old"}, ["scipy"], threads=1)
    found = json.loads((tmp_path / "new" / "a.json").read_text())
    assert list(found) == ["about", "rows"] and found["rows"] == [1]
    assert found["about"]["threads"] == 1 and found["about"]["command"].endswith("--seeds 3")
    assert found["about"]["versions"]["numpy"] == np.__version__
    assert {"machine", "processor", "device", "python", "date"} <= found["about"].keys()
    assert "scipy" in found["about"]["versions"]


def test_what_is_no_json_leaves_the_old_file(tmp_path):
    store(tmp_path / "a.json", {"rows": []})
    before = (tmp_path / "a.json").read_text()
    with pytest.raises(TypeError):
        store(tmp_path / "a.json", {"rows": [object()]})
    assert (tmp_path / "a.json").read_text() == before


def test_the_command_names_no_folder_of_a_machine(monkeypatch):
    monkeypatch.setattr("sys.argv", ["x", "--out", "/a/b/found.json", "--seeds", "3", "c/d"])
    assert origin()["command"].endswith(" --out found.json --seeds 3 c/d")
