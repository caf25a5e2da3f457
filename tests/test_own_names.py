"A test cell that replaces a name of its own module would do nothing in Jupyter: it is found."
import pytest

from tools import nb as nbtext
from tools.check import ROOT
from tools.export import notebooks
from tools.names import patched

HEAD = {"cell_type": "code", "id": "a", "source": "#| default_exp room.page"}


@pytest.mark.parametrize("source, bad", [
    ('with patch("bstruct.room.page.LIMIT", 3):\n    f()', True),
    ("from bstruct.room import page as module\nwith patch.object(module, 'f', g):\n    f()", True),
    ('with patch("bstruct.room.other.LIMIT", 3):\n    f()', False),
    ("with patch.dict(names_of(f), LIMIT=3):\n    f()", False)])
def test_it_is_found(source, bad):
    nb = {"cells": [HEAD, {"cell_type": "code", "id": "b", "source": source}]}
    assert len(patched(nb)) == bad


def test_no_page_does_it():
    assert {p.name: b for p in notebooks(ROOT) if (b := patched(nbtext.read(p)))} == {}
