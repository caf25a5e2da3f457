"Every chapter of the book has three exercises with folded solutions, in the order of the sidebar."
import re

import pytest
import yaml

from tools import nb as nbtext
from tools.check import ROOT

QUARTO = yaml.safe_load((ROOT / "_quarto.yml").read_text(encoding="utf-8"))
SECTIONS = [s["section"] for s in QUARTO["website"]["sidebar"]["contents"]]
PAGE = nbtext.read(ROOT / "nbs/start/14_exercises.ipynb")
TEXT = "\n\n".join(c["source"] for c in PAGE["cells"] if c["cell_type"] == "markdown")
CHAPTERS = {t.partition("\n")[0]: t for t in re.split(r"^## ", TEXT, flags=re.M)[1:]}


def test_every_chapter_has_exercises():
    assert ["Start", *CHAPTERS] == SECTIONS


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_three_and_their_solutions(chapter):
    asked, _, solved = CHAPTERS[chapter].partition('<details class="callout-tip">')
    for part in (asked, solved):
        assert re.findall(r"^(\d+)\. \S", part, flags=re.M) == ["1", "2", "3"]
    assert solved.startswith("<summary>Solutions</summary>") and "</details>" in solved


def test_start_has_three_on_each_page_of_a_task():
    for name in ("02_first_fit", "03_your_graph", "04_your_candidate", "05_which_network",
                 "06_your_table", "07_reading_a_report", "11_command_line",
                 "08_how_wide", "09_from_higher_torchopt"):
        cells = nbtext.read(ROOT / f"nbs/start/{name}.ipynb")["cells"]
        text = "\n".join(c["source"] for c in cells)
        assert re.findall(r"<summary>(\d)\. ", text) == ["1", "2", "3"], name


def test_the_first_page_introduces_both_documents():
    cells = nbtext.read(ROOT / "nbs/index.ipynb")["cells"]
    text = "\n".join(c["source"] for c in cells if c["cell_type"] == "markdown")
    assert all(f"*{name}* is a " in text for name in ("The deck", "The note"))
    assert "errata/01_deck.ipynb" in text and "errata/02_note.ipynb" in text
