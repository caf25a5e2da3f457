"The prose keeps its limits, and a planted fault of each kind is found."
import pytest

from tools import nb as nbtext
from tools.check import ROOT
from tools.export import notebooks
from tools.prose import WORDS, american, complaints, misspelt, paragraphs

LONG = " ".join(["word"] * (WORDS + 1))


def page(text: str) -> dict:
    return {"cells": [{"cell_type": "markdown", "id": "a", "source": text}]}


@pytest.mark.parametrize("path", notebooks(ROOT), ids=lambda f: f.relative_to(ROOT).as_posix())
def test_notebook_keeps_the_limits(path):
    assert complaints(nbtext.read(path)) == []


@pytest.mark.parametrize("text, complaint", [
    (LONG, f"a paragraph of {WORDS + 1} words"), (f"Short.\n\n{LONG}\n\nShort.", "a paragraph of"),
    ("The color of it.", "write 'colour'"), ("To optimize.", "write 'optimise'"),
    ("It is said here for the second time. " * 2, "stands twice"),
    (r"So $E_q \ln p$ is.", "mathbb E"), (r"$$\mathsf E\, f$$", "mathbb E"),
    (r"Take $\operatorname{KL}(q\|p)$.", "KL"), ("Take $KL(q|p)$.", "KL"),
    ("A labeled axis.", "write 'labelled'"), ("Generalization of it.", "write 'generalisation'")])
def test_a_fault_is_found(text, complaint):
    (found,) = complaints(page(text))
    assert complaint in found


@pytest.mark.parametrize("text", [
    r"$\mathbb E_q\mathrm{KL}(q\|p)$, $E_k$ and $(V, E)$.", "It is so. It is so.",
    "It is said here once; `it is said here`.",
    LONG[5:], f"{LONG[5:]}\n\n{LONG[5:].replace('word', 'term')}", f"```\n{LONG}\n```", f"| {LONG} |", f"# {LONG}",
    "The `color` of `optimize`.", f"${LONG}$", "[a](center.html)"])
def test_what_is_no_fault(text):
    assert complaints(page(text)) == []


def test_mathematics_and_code_are_one_word_each():
    assert paragraphs("So $a + b$ and\n`x y z` it is.") == ["So M and\nC it is."]


def test_spelling_of_docstrings_and_messages():
    assert misspelt() == []


def test_a_message_in_the_other_spelling_is_found(tmp_path):
    (tmp_path / "tools").mkdir()
    (tmp_path / "tools/a.py").write_text(
        'def f(color="gray"):\n    "The gray behavior of `color` is optimized."\n')
    found = misspelt(tmp_path)
    assert [b.split()[1] for b in found] == ["'gray'", "'behavior'", "'optimized'"]
    assert american("size, prizes, resized; a colour of the grey centre is optimised") == []
