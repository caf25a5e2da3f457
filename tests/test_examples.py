"""Who calls a name finds an example on its page.

The rooms below hold what a person calls: laws and models, objectives, methods by name, checks of a
class of one's own, and what is done with a table. Each of their pages shows a cell with its output.
Rooms that only the library itself calls (training, the stages and the work of a search, the
experiments) need none.
"""
import pytest

from tools import nb as nbtext
from tools.check import ROOT
from tools.execute import directives
from tools.export import notebooks

ROOMS = ("distributions", "structure", "model", "objectives", "hypergradient", "evidence",
         "testing", "use")
ALONE = ("search/01_settings", "search/02_result", "search/04_ranking", "search/06_pareto",
         "search/modes/06_family", "search/modes/07_path", "core/10_table")
OTHERS = {"export", "exporti", "test", "testi", "hide", "default_exp"}


def kinds(path) -> list[set[str]]:
    "The directives of each code cell that exports, or has an output."
    cells = [c for c in nbtext.read(path)["cells"] if c["cell_type"] == "code"]
    return [set(directives(c["source"])) | ({"shows"} if c["outputs"] else set()) for c in cells]


def shows(cells: list[set[str]]) -> bool:
    "Whether a reader sees a call and what it returned."
    return any("shows" in kind and not kind & OTHERS for kind in cells)


WANTED = {p.relative_to(ROOT / "nbs").with_suffix("").as_posix(): kinds(p) for p in notebooks(ROOT)}
WANTED = {n: k for n, k in WANTED.items() if any("export" in kind for kind in k)
          and (n.partition("/")[0] in ROOMS or n in ALONE)}


@pytest.mark.parametrize("name", WANTED)
def test_a_page_that_people_call_has_an_example(name):
    assert shows(WANTED[name]), "no visible cell with an output; add an example"


def test_a_page_without_one_is_found():
    assert set(ALONE) < set(WANTED) and len(WANTED) > 90
    assert not shows([{"export"}, {"test", "shows"}, {"hide", "shows"}, set()])
    assert shows([{"export"}, {"label", "shows"}])
