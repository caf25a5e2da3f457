"Figures have words, lines and letters that can be read, and a planted fault of each kind is found."
import io

import matplotlib
import pytest
from matplotlib.figure import Figure

from bstruct.core.style import STYLE
from tools import nb as nbtext
from tools.check import ROOT
from tools.execute import digest, same_drawing
from tools.export import notebooks
from tools.figures import complaints, letters, unnamed, width

HEAD = '#| label: fig-a\n#| fig-cap: "A line."\n#| fig-alt: "{}"\n'
ALT = "A line that rises from the left to the right."
SVG = ('<svg xmlns="http://www.w3.org/2000/svg" width="{w}pt" viewBox="0 0 {w} 100">'
       '<path d="M 0 0 L {x} 10"/>'
       '<text style="font-size: {size}px; fill: red">{text}</text></svg>')


def page(source: str, **data: str) -> dict:
    kinds = {"svg": "image/svg+xml", "png": "image/png"}
    outputs = [{"output_type": "display_data", "data": {kinds[k]: v}} for k, v in data.items()]
    return {"cells": [{"cell_type": "code", "id": "a", "source": source, "outputs": outputs,
                       "metadata": {}}]}


def svg(w=400, x=300, size=9, text="time, s") -> str:
    return SVG.format(w=w, x=x, size=size, text=text)


@pytest.mark.parametrize("path", notebooks(ROOT), ids=lambda f: f.relative_to(ROOT).as_posix())
def test_figures_can_be_read(path):
    assert complaints(nbtext.read(path)) == []


@pytest.mark.parametrize("nb", [
    page(HEAD.format(ALT), svg=svg()), page("plot()"), page("#| slow\n" + HEAD.format(ALT), png="A"),
    page("#| hide\nplot()", png="A")])
def test_what_is_no_fault(nb):
    assert complaints(nb) == []


@pytest.mark.parametrize("nb, complaint", [
    (page(HEAD.format(""), svg=svg()), "no `#| fig-alt"),
    (page(HEAD.format("A line."), svg=svg()), "does not say what is seen"),
    (page(HEAD.format(ALT).replace("A line.", ""), svg=svg()), "no `#| fig-cap"),
    (page(HEAD.format(ALT), png="A"), "in pixels"),
    (page(HEAD.format(ALT), svg=svg(size=7)), "letters of 7.0 points"),
    (page(HEAD.format(ALT), svg=svg(w=700, size=11)), "700 points wide"),
    (page(HEAD.format(ALT), svg=svg(text="x" * 260_000)), "an SVG of 254 KB")])
def test_a_fault_is_found(nb, complaint):
    (found,) = complaints(nb)
    assert complaint in found


def test_letters_shrink_with_a_figure_that_is_wider_than_the_page():
    assert letters(svg(w=1200, size=12)) == [6.0]
    assert width('<svg viewBox="0 0 960 10">') == 600
    assert letters('<svg viewBox="0 0 960 10" font-size="13"><text>a</text></svg>') == [8.125]


@pytest.mark.parametrize("xlabel, ticks, without", [
    ("time, s", None, []), ("", None, ["x"]), ("", ["a", "b", "c"], [])])
def test_an_axis_with_numbers_has_a_name(xlabel, ticks, without):
    figure = Figure()
    left, right = figure.subplots(1, 2, sharey=True)
    left.set(xlabel=xlabel, ylabel="length, m")
    for axes in (left, right):
        axes.plot([0, 1, 2], [1, 10, 100])
        axes.set_yscale("log")
        if ticks:
            axes.set_xticks([0, 1, 2], ticks)
    data = io.StringIO()
    with matplotlib.rc_context(STYLE):
        figure.savefig(data, format="svg")
    assert unnamed(data.getvalue()) == without


def test_drawings_are_compared():
    assert same_drawing(svg(), svg(x=301)) and same_drawing(svg(text="0.998"), svg(text="0.999"))
    assert not same_drawing(svg(), svg(x=340))
    assert not same_drawing(svg(), svg(text="time, m"))
    assert not same_drawing(svg(), svg().replace("L 300 10", "L 300 10 L 1 1"))


def test_words_about_a_figure_leave_its_digest():
    assert digest("#| slow\n#| fig-alt: \"A line.\"\nplot()") == digest("#| slow\nplot()")
    assert digest("#| slow\nplot(1)") != digest("#| slow\nplot()")
