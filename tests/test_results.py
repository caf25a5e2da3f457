"""Every stored result says on which machine and by which versions it was made, or that this was
not recorded."""
import json
import re
from pathlib import Path

import pytest

FILES = sorted(Path(__file__).parents[1].glob("benchmarks/*/results/*.json"))
UNKNOWN = {"evidence": ("boston_1", "boston_3", "cost", "evidence", "narrow", "predictors", "rates",
                        "selection"),
           "search": ("diabetes", "digits", "enumeration_mnist1d", "ranks_digits", "robustness",
                      "truth_mnist1d"),
           "hypergradient": ("results",), "distributions": ("results",)}


def wrong(found: object) -> str:
    "What a file of results does not say; nothing where it says all."
    about = found.get("about") if isinstance(found, dict) else None
    if not isinstance(about, dict):
        return "no block about"
    if about.get("recorded") is False:
        if not about.get("why") or not re.fullmatch(r"[0-9a-f]{7,12}", about.get("commit", "")):
            return "not recorded, without a reason and a commit"
        return "" if about.get("date") else "no date"
    if lost := {"machine", "device", "python", "versions"} - about.keys():
        return f"about lacks {', '.join(sorted(lost))}"
    return "" if {"bstruct", "torch"} <= about["versions"].keys() else "no versions"


@pytest.mark.parametrize("path", FILES, ids=lambda p: f"{p.parents[1].name}/{p.stem}")
def test_every_result_says_where_it_comes_from(path):
    found = json.loads(path.read_text())
    assert not wrong(found)
    known = path.stem not in UNKNOWN.get(path.parents[1].name, ())
    assert ("recorded" not in found["about"]) == known, "only old files may not have recorded it"


def test_what_says_nothing_is_found():
    whole = {"machine": "a", "device": "cpu", "python": "3", "versions": {"bstruct": "1", "torch": "2"}}
    assert len(FILES) > 30 and not wrong({"about": whole})
    assert wrong([]) and wrong({"rows": []}) and wrong({"about": whole | {"versions": {}}})
    assert "device" in wrong({"about": {k: v for k, v in whole.items() if k != "device"}})
    old = {"recorded": False, "commit": "abcdef1", "date": "2026-01-01", "why": "old"}
    assert not wrong({"about": old}) and wrong({"about": old | {"commit": ""}})
    assert wrong({"about": old | {"why": ""}}) and wrong({"about": {**old, "date": ""}})
