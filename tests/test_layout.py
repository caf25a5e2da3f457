"""The site in a real browser: nothing sticks out, search finds, keys work.

Runs where Chromium is installed; the tests of the whole site also need `make docs`. The check of
accessibility needs axe-core: AXE names its `axe.min.js`, or `npm install axe-core` in the root.
"""
import json
import os
from pathlib import Path

import pytest

from tools.browser import Browser, executable
from tools.check import ROOT
from tools.layout import LOOK, faults, pages, served

SITE = ROOT / "_docs"
AXE = Path(os.environ.get("AXE", ROOT / "node_modules/axe-core/axe.min.js"))
pytestmark = pytest.mark.skipif(not executable(), reason="Chromium is not installed")
built = pytest.mark.skipif(not (SITE / "pagefind").exists(),
                           reason="the site is not built: make docs")
PARTS = 8
TWELVE = ("index", "start/first_fit", "start/command_line", "start/notation", "register", "404",
          "objectives/theorems", "distributions/gumbel_softmax_kl", "evidence/core",
          "model/graph", "use/estimators", "errata/deck")


@pytest.fixture(scope="module")
def browser():
    with Browser() as page:
        yield page


@pytest.fixture(scope="module")
def site():
    with served(SITE) as address:
        yield address


HEAD = "<!doctype html><html><body style='margin:0'><main style='margin:0 1rem'>"
PLANTED = {
    "<p>Fine.</p><table><tr><td>1</td></tr></table>": [],
    "<div style='width:1500px'>x</div>": ["at 1280: the page is", "at 390: the page is"],
    "<div style='width:500px'>x</div>": ["at 390: the page is"],
    f"<pre style='overflow-x:auto'>{'x' * 300}</pre>": ["at 1280: pre", "at 390: pre"],
    f"<div class='katex-display' style='overflow-x:auto;white-space:nowrap'>{'xy ' * 99}</div>": [
        "at 1280: div.katex-display"],
    f"<div style='overflow:hidden'><pre>{'x' * 300}</pre></div>": ["at 1280: pre", "at 390: pre"],
}


@pytest.mark.parametrize("body, complaints", PLANTED.items(), ids=range(len(PLANTED)))
def test_what_sticks_out_is_named(browser, tmp_path, body, complaints):
    (tmp_path / "a.html").write_text(
        f"{HEAD.replace('<body', '<meta name=viewport content=width=device-width><body')}{body}")
    with served(tmp_path) as address:
        found = faults(browser, f"{address}/a.html")
    assert all(any(f.startswith(c) for f in found) for c in complaints), found
    assert bool(found) == bool(complaints), found


@built
@pytest.mark.parametrize("part", range(PARTS))
def test_nothing_sticks_out(browser, site, part):
    bad = {n: f for n in pages(SITE)[part::PARTS] if (f := faults(browser, f"{site}/{n}"))}
    assert bad == {}, json.dumps(bad, indent=1, ensure_ascii=False)


@built
def test_no_mathematics_is_refused(browser, site):
    browser.size(1280)
    for name in ("objectives/theorems", "distributions/gumbel_softmax_kl", "evidence/laplace"):
        browser.go(f"{site}/{name}.html")
        assert browser.run("document.querySelectorAll('.katex-error').length") == 0
        assert browser.run("document.querySelectorAll('main .katex').length") > 10


PAPER = 718  # pixels of A4 between its margins
DARK = [{"name": "prefers-color-scheme", "value": "dark"}]
LIGHTNESS = """['body', 'main h1', 'main a', 'main pre'].map(name => {
  const e = document.querySelector(name), c = getComputedStyle(e);
  const sum = s => s.match(/[\\d.]+/g).slice(0, 3).reduce((a, x) => a + +x, 0) / 765;
  return [name, sum(c.color), name === "body" ? sum(c.backgroundColor) : 1]; })"""


@built
@pytest.mark.parametrize("name", ["start/first_fit", "objectives/theorems", "model/graph"])
def test_paper_shows_dark_letters_on_white_and_cuts_nothing_off(browser, site, name):
    browser.call("Emulation.setEmulatedMedia", media="print", features=DARK)
    try:
        browser.size(PAPER)
        browser.go(f"{site}/{name}.html")
        browser.run("document.documentElement.dataset.theme = 'dark'")  # chosen by the reader, too
        assert all(ink < 0.55 and paper == 1 for _, ink, paper in browser.run(LIGHTNESS))
        bars = "['.bar', '.pages', '.turn'].map(q => document.querySelector(q).offsetHeight)"
        assert browser.run(bars) == [0, 0, 0]
        assert browser.run(LOOK.replace("WIDTH", str(PAPER))) == []
    finally:
        browser.call("Emulation.setEmulatedMedia", media="", features=[])


@built
@pytest.mark.parametrize("words, page", [
    ("install", "start/install"), ("quickstart", "start/first_fit"), ("Gumbel", "gumbel"),
    ("Equivalence", "objectives/theorems"), ("Subsample", "objectives/theorems")])
def test_search_finds(browser, site, words, page):
    browser.size(1280)
    browser.go(f"{site}/index.html")
    browser.key("/")
    browser.until("document.querySelector('.find').open")
    browser.run(f"const i = document.querySelector('.find input'); i.value = {words!r};"
                "i.dispatchEvent(new Event('input')); true")
    browser.until("document.querySelectorAll('.find li a').length > 0")
    found = browser.run("[...document.querySelectorAll('.find li a')].map(a => a.href)")
    assert any(page in link for link in found), found


@built
def test_arrow_keys_walk_through_what_was_found(browser, site):
    browser.go(f"{site}/index.html")
    browser.key("/")
    browser.until("document.querySelector('.find').open")
    browser.run("const j = document.querySelector('.find input'); j.value = 'evidence';"
                "j.dispatchEvent(new Event('input')); true")
    browser.until("document.querySelectorAll('.find li a').length > 2")
    where = "[...document.querySelectorAll('.find li a')].indexOf(document.activeElement)"
    seen = []
    for key in ("ArrowDown", "ArrowDown", "ArrowUp", "ArrowUp"):
        browser.key(key)
        seen.append(browser.run(where))
    assert seen == [0, 1, 0, -1] and browser.run("document.activeElement.type") == "search"


@built
@pytest.mark.skipif(not AXE.exists(), reason="axe-core is not installed")
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("name", TWELVE)
def test_everybody_can_use_it(browser, site, name, dark):
    browser.size(1280)
    browser.dark(dark)
    browser.go(f"{site}/{name}.html")
    browser.run(AXE.read_text(encoding="utf-8") + "; true")
    found = browser.run("axe.run(document, {resultTypes: ['violations']}).then(r => "
                        "r.violations.map(v => [v.id, v.nodes.length, "
                        "v.nodes[0].html.slice(0, 200)]))")
    assert found == [], json.dumps(found, indent=1, ensure_ascii=False)
