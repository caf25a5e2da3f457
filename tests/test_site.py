"""The site: every construct becomes the right HTML, and a build with anything broken in it fails
and names it."""
import base64
import io
import json
import os
import re
import shutil
import struct
import subprocess
import sys

import pypandoc
import pytest
import yaml

from tools import nb as nbtext
from tools.card import SIZE
from tools.check import ROOT
from tools.colour import coloured
from tools.export import notebooks
from tools.page import page_links, printed
from tools.proof import Facts, check, html_files
from tools.site import build, entries, katex, stage

CONFIG = """
project: {type: website, output-dir: _docs}
website:
  title: small
  sidebar:
    contents:
      - section: Start
        contents: [nbs/index.ipynb]
      - section: Room
        contents:
          - auto: "nbs/room/*.ipynb"
bibliography: nbs/references.bib
"""
BIB = """@article{one, author={Anna One}, title={First}, journal={J}, year={1999}}
@book{two, author={B Two}, title={T}, year={2001}}
"""
INDEX = r"""%% md
# Small

> A site of two pages.

To [the theorem](room/first.html#thm-x), to [the notebook](room/01_first.ipynb) and to `double`.
"""
FIRST = r"""%% md
# First `page`

> Everything that a page can hold.

%% code
#| default_exp first

%% code
#| exporti
import math

%% md
## A theorem {#sec-a}

::: {#thm-x}
## Pythagoras
On a right angle
$$
a^2 + b^2 = c^2 .
$$ {#eq-pyth}
:::

::: {.proof}
By @eq-pyth, and @fig-line, see [@one, p. 3] and @sec-a.
:::

::: {#def-y}
A *side*.[^1]
:::

[^1]: Of a triangle.

As @thm-x says and -@def-y does not, and @eq-second; $x \in \mathbb R$.

$$ e = 1 $$ {#eq-second}

::: {.callout-warning}
## The deck
It prints $a + b = c$.
:::

::: {.callout-note collapse="true"}
## Hidden
Until it is opened.
:::

| a | b |
|--:|--:|
| 1 | 2 |

: Numbers {#tbl-numbers}

See @tbl-numbers and @tbl-frame. The class `Box` holds what `double` doubles; `unknown` is no link.

%% code
#| export
def double(x: float,
           times: int = 1) -> float:  # how often
    "Twice `x`, in nats."
    return 2 * x * times

%% code
#| export
class Box:
    "A box."

    def __init__(self, size: float):
        "`size`: in metres."
        self.size = size

    def open(self, how: str = "wide") -> str:
        "Opens it, `how` it is said."
        return how

%% code
#| test double_doubles
assert double(2) == 4

%% code
#| label: fig-line
#| fig-cap: "A line with $x$."
#| code-fold: true
draw(1)

%% code
#| label: tbl-frame
#| tbl-cap: "A frame."
#| echo: false
frame()

%% code
print("printed <b>")

%% md
## References {.unnumbered}

::: {#refs}
:::
"""


def png() -> str:
    from PIL import Image

    buffer = io.BytesIO()
    Image.new("RGB", (4, 3), "red").save(buffer, "png")
    return base64.b64encode(buffer.getvalue()).decode()


def save(root, name: str, text: str) -> None:
    nb = nbtext.build(text, None, name)
    for cell in nb["cells"]:
        data = {"draw(1)": {"image/png": png()},
                "frame()": {"text/html": "<table><tr><td>7</td></tr></table>"}}
        for call, kinds in data.items():
            if call in cell["source"]:
                cell["outputs"] = [{"output_type": "display_data", "data": kinds, "metadata": {}}]
        if cell["source"].startswith("print("):
            cell["outputs"] = [{"output_type": "stream", "name": "stdout", "text": "printed <b>\n"}]
    nbtext.write(nb, root / f"nbs/{name}.ipynb")


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    "A built site of two pages."
    root = tmp_path_factory.mktemp("site")
    (root / "_quarto.yml").write_text(CONFIG)
    save(root, "index", INDEX)
    save(root, "room/01_first", FIRST)
    (root / "nbs/references.bib").write_text(BIB)
    assert build(root, pandoc=True) == (2, 2, [])
    return root


@pytest.fixture
def copy(site, tmp_path):
    shutil.copytree(site, tmp_path / "copy")
    return tmp_path / "copy"


@pytest.fixture(scope="module")
def first(site):
    return (site / "_docs/room/first.html").read_text()


@pytest.mark.parametrize("pattern", [
    r"<h1>First <code>page</code></h1>",
    r'<title>First page – small</title>',
    r'<div class="subtitle">\s*<p>Everything that a page can hold.</p>',
    r'<div id="thm-x" class="theorem">\s*<p><span class="theorem-title"><strong>Theorem 1</strong> '
    r'\(Pythagoras\)</span>',
    r'<span id="eq-pyth" class="equation"><math display="block".*?<span '
    r'class="eqno">\(1\)</span></span>',
    r'<span id="eq-second" class="equation">.*?<span class="eqno">\(2\)</span>',
    r'<div class="proof">\s*<p><em>Proof.</em> By <a href="#eq-pyth" '
    r'class="xref">Equation\s\(1\)</a>, and <a href="#fig-line"',
    r'class="xref">Figure\s1</a>, see',
    r'<a href="#ref-one"[^>]*>One[^<]*1999',
    r'<div id="ref-one" class="csl-entry"',
    r'<a href="#sec-a" class="xref">Section “A theorem”</a>',
    r'<a href="#def-y" class="xref">1</a>',
    r'<a href="#eq-second" class="xref">Equation\s\(2\)</a>',
    r'<strong>Definition 1</strong></span> A <em>side</em>.<a href="#fn1"',
    r'<div class="callout-warning callout">\s*<div class="callout-title">\s*The deck',
    r'<details class="callout callout-note"><summary class="callout-title">\s*Hidden\s*</summary>',
    r'<table id="tbl-numbers">\s*<caption><span class="caption-label">Table 1: '
    r'</span>Numbers</caption>',
    r'<figure id="tbl-frame" class="table">.*?<td>7</td>.*?Table 2: </span>A frame.</figcaption>',
    r'<details class="code-fold code"><summary>Code</summary>.*?draw',
    r'<figure id="fig-line" class="figure">\s*<p><img src="data:image/png;base64,[^"]+" alt="A '
    r'line with \$x\$."\s*/></p>'
    r'\s*<figcaption><span class="caption-label">Figure 1: </span>A line with <math',
    r'<section id="double" class="api[^"]*">\s*<h3 class="api"><code>double</code></h3>',
    r'<section id="Box.open" class="api[^"]*">\s*<h4 class="api">',
    r'Twice <code>x</code>, in nats.',
    r'<details class="code-fold source" id="source-double" open><summary>Source: double</summary>',
    r'<span class="to-source"><a href="#source-double">source</a></span>',
    r'<td[^>]*><code>times</code></td>\s*<td[^>]*><code>int</code></td>\s*'
    r'<td[^>]*><code>1</code></td>',
    r'<meta property="og:title" content="First page">',
    r'<details class="code-fold test"><summary>Test: double doubles</summary>',
    r'The class <a class="doc" href="#Box"><code>Box</code></a> holds',
    r'<code>unknown</code> is no link',
    r'<pre class="output"><code>printed &lt;b&gt;</code></pre>',
    r'<code>bstruct.first</code> · <a href="first.ipynb" download>',
    r'<p class="section">Room</p>\s*<ul>\s*<li><a href="../room/first.html" '
    r'aria-current="page">First page</a>',
    r'<a class="previous" href="../index.html" rel="prev"><span>Previous</span>Small</a>',
    r'<nav class="toc".*?<a href="#sec-a"[^>]*>A theorem</a>',
])
def test_each_construct_has_its_html(first, pattern):
    assert re.search(pattern, first, flags=re.S), pattern


def test_a_signature_is_the_written_one(first):
    text = re.sub(r"<[^>]+>", "", first).replace("&gt;", ">").replace("&quot;", '"')
    assert "def double(x: float, times: int = 1) -> float" in text
    assert "class Box(size: float)" in text
    assert "import math" not in text and "default_exp" not in text


def test_a_link_to_a_page_has_a_title_words_and_a_picture(copy):
    (copy / "settings.ini").write_text("[DEFAULT]\ndoc_host = https://a.org\n"
                                       "doc_baseurl = /small\n")
    card = copy / "_docs/card.png"
    assert build(copy, pandoc=True) == (2, 0, [])
    drawn = card.stat().st_mtime_ns
    page = (copy / "_docs/room/first.html").read_text()
    told = dict(re.findall(r'<meta property="og:(\S+)" content="([^"]*)">', page))
    assert told["title"] == "First page" and told["description"] == "Everything that a page can hold."
    assert told["url"] == "https://a.org/small/room/first.html"
    assert told["image"] == "https://a.org/small/card.png" and told["image:alt"]
    size = struct.unpack(">II", card.read_bytes()[16:24])
    assert size == (int(told["image:width"]), int(told["image:height"])) == SIZE
    assert build(copy, pandoc=True)[1] == 0 and card.stat().st_mtime_ns == drawn
    save(copy, "index", INDEX.replace("A site of two pages", "Other words"))
    build(copy, pandoc=True)
    assert card.stat().st_mtime_ns > drawn
    for name in html_files(copy / "_docs"):  # no page is without words, not even 404
        assert re.search(r'og:description" content="[^"]+"', name.read_text()), name
    lost = (copy / "_docs/404.html").read_text()  # a host shows it at any address
    assert lost.index('<base href="/small/">') < lost.index("site.css")
    assert "<base" not in page


def test_columns_stay_under_each_other_beside_long_sentences():
    rows = "edge   probability\nx->h1         1.00"
    text = printed(f"{'A sentence of the program. ' * 4}\n\n{rows}\n\nAnd <more>.")
    assert f'<span class="rows" style="--columns: 18">{rows.replace(">", "&gt;")}</span>' in text
    assert '<pre class="output"><code>A sentence' in text and "And &lt;more&gt;." in text
    assert printed(rows) == f'``` {{.output style="--columns: 18"}}\n{rows}\n```'
    assert ".wide}" in printed("x" * 100) and 'output wider"' in printed("x  y" * 28)


def test_links_lead_to_pages_without_numbers(site):
    index = (site / "_docs/index.html").read_text()
    assert index.count('href="room/first.html"') == 3  # sidebar, next page, link to the notebook
    assert '<a href="room/first.html#thm-x">' in index
    assert '<a class="doc" href="room/first.html#double">' in index
    assert page_links("[a](../b/02_c.ipynb#x) [d](12_e.html) [f](https://g.org/01_h.html)") == (
        "[a](../b/c.html#x) [d](e.html) [f](https://g.org/01_h.html)")


def test_nothing_is_loaded_from_elsewhere(site):
    assert check(site / "_docs", {}) == []
    for page in html_files(site / "_docs"):
        loads = [u for u in Facts(page.read_text()).loads if not u.startswith("data:")]
        assert len(loads) > 2 and all((page.parent / u).is_file() for u in loads)
    if katex():  # and so are the fonts of the mathematics
        css = (site / "_docs/katex/katex.min.css").read_text()
        fonts = set(re.findall(r"url\(([^)]+\.woff2)\)", css))
        assert len(fonts) > 10 and all((site / "_docs/katex" / f).is_file() for f in fonts)


def test_without_katex_browsers_show_mathml(copy, monkeypatch):
    monkeypatch.setattr("tools.site.katex", list)
    assert build(copy, pandoc=True) == (2, 0, [])
    page = (copy / "_docs/room/first.html").read_text()
    assert "katex" not in page and page.count("<math") >= 5


def test_the_pages_can_be_searched(site):
    assert (site / "_docs/pagefind/pagefind.js").is_file()
    assert list((site / "_docs/pagefind/fragment").iterdir())


def test_only_what_changed_is_rendered_again(copy):
    before = {f: f.stat().st_mtime_ns for f in (copy / "_docs").rglob("*") if f.is_file()}
    assert build(copy, pandoc=True) == (2, 0, [])
    assert before == {f: f.stat().st_mtime_ns for f in (copy / "_docs").rglob("*") if f.is_file()}
    (copy / "nbs/references.bib").write_text(BIB.replace("{T}", "{Other}"))  # which no page cites
    assert build(copy, pandoc=True)[1] == 0
    (copy / "nbs/references.bib").write_text(BIB.replace("{First}", "{Premier}"))
    assert build(copy, pandoc=True)[1] == 1
    assert "Premier" in (copy / "_docs/room/first.html").read_text()
    (copy / "nbs/room/01_first.ipynb").unlink()
    save(copy, "index", "%% md\n# Alone\n")
    assert build(copy, pandoc=True) == (1, 1, []) and not (copy / "_docs/room/first.html").exists()


@pytest.mark.parametrize("addition, complaint", [
    ("See @thm-nowhere.", "nbs/index.ipynb: cross-reference @thm-nowhere has no label"),
    ("See [@nobody1999].", "nbs/index.ipynb: Citeproc: citation nobody1999 not found"),
    ("[x](gone.html)", "nbs/index.ipynb: link gone.html leads nowhere"),
    ("[x](room/first.html#thm-z)", "nbs/index.ipynb: link room/first.html#thm-z leads nowhere"),
    ("::: {#lem-a}\nOne.\n:::\n\n::: {#lem-a}\nTwo.\n:::",
     "nbs/index.ipynb: label lem-a is used twice"),
    ("::: {#thm-x}\nAgain.\n:::", "nbs/room/01_first.ipynb: label thm-x is also in "
                                  "nbs/index.ipynb"),
    ("Text {#eq-lost}", "nbs/index.ipynb: label {#eq-lost} is attached to nothing"),
    (r"$\frac{1}{$", "nbs/index.ipynb: Could not convert TeX math"),
    ('<img src="https://g.org/a.png">',
     "nbs/index.ipynb: loads https://g.org/a.png from another host"),
    ("::: {.callout-note}\nNever closed.", "nbs/index.ipynb: "),
    ("{{< video x.mp4 >}}", "nbs/index.ipynb: shortcode"),
    ("Costs $x or ::: three.", "nbs/index.ipynb: the page shows"),
    ("::: {#fig-empty}\n![](room/01_first.ipynb)\n:::", "nbs/index.ipynb: a figure has an empty"),
    ("Fine.\n\n%% code\n#| default_exp x\n\n%% code\n#| export\ndef y(x=undefined_name): return x",
     "nbs/index.ipynb: NameError: "),
    ("Fine.\n\n%% code\n#| default_exp x\n\n%% code\n#| export\ndef y(z):\n    'A y.'\n    return z",
     "nbs/index.ipynb: y(z) has no text"),
])
def test_what_is_broken_is_named(copy, addition, complaint):
    save(copy, "index", INDEX + "\n" + addition + "\n")
    bad = build(copy, pandoc=True)[2]
    assert any(line.startswith(complaint) for line in bad), bad
    assert len(bad) == 1 + (addition.count("lem-a") == 2), bad


def test_a_page_of_no_section_and_a_key_defined_twice_are_named(copy):
    save(copy, "lost", "%% md\n# Lost\n")
    save(copy, "room/02_first", "%% md\n# Same name\n")
    (copy / "nbs/references.bib").write_text(BIB + BIB.splitlines()[0] + "\n")
    bad = build(copy, pandoc=True)[2]
    assert bad[:2] == ["nbs/lost.ipynb: in no section of _quarto.yml; add it to the sidebar",
                       "room/first.html: made by 01_first.ipynb and 02_first.ipynb; rename one"]
    assert "references.bib: key one is defined 2 times; keep one" in bad


def test_quarto_gets_the_same_pages(copy):
    config = yaml.safe_load((copy / "_quarto.yml").read_text())
    (copy / "_proc").mkdir()
    stage(config, copy, copy / "_docs", copy / "_proc")
    made = yaml.safe_load((copy / "_proc/_quarto.yml").read_text())
    assert made["project"]["output-dir"] == "../_docs" and "ipynb-filters" not in made
    assert made["website"]["sidebar"]["contents"][1] == {
        "section": "Room", "contents": ["room/first.ipynb"]}
    text = nbtext.to_text(nbtext.read(copy / "_proc/room/first.ipynb"))
    assert "show_doc(double" in text and "#| export" not in text
    assert '#| code-summary: "Test: double doubles"' in text
    assert "](room/first.ipynb)" in nbtext.to_text(nbtext.read(copy / "_proc/index.ipynb"))


def test_the_bibliography_is_read_by_key(site):
    assert list(entries(site / "nbs/references.bib")) == ["one", "two"]
    assert entries(site / "no.bib") == {}


def as_quarto(root, notebook, filters):
    """What Quarto does with `ipynb-filters`: each filter is a path below the notebook's folder, run
    in that folder, with the notebook on its input."""
    text = notebook.read_text()
    for name in filters:
        script = os.path.relpath(root / name, notebook.parent)
        env = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "IN_TEST")}
        done = subprocess.run([sys.executable, script], cwd=notebook.parent, input=text, text=True,
                              capture_output=True, env=env | {"PYTHONUNBUFFERED": "1"}, timeout=300)
        assert done.returncode == 0, done.stderr[-2000:]
        text = done.stdout
    return json.loads(text)


def test_the_filter_works_as_quarto_calls_it(tmp_path):
    config = yaml.safe_load((ROOT / "_quarto.yml").read_text())
    for name in ("tools", "settings.ini", "_quarto.yml", "bstruct"):
        (tmp_path / name).symlink_to(ROOT / name)
    shutil.copy(ROOT / "_quarto.yml", tmp_path / "copy.yml")
    made = {}
    for name in ("nbs/index.ipynb", "nbs/errata/02_note.ipynb", "nbs/core/03_trees.ipynb"):
        notebook = tmp_path / name
        notebook.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, notebook)
        cells = as_quarto(tmp_path, notebook, config["ipynb-filters"])["cells"]
        made[name] = ["".join(c["source"]) for c in cells]
    index, note, trees = made.values()
    assert any("show_doc(" in s for s in trees)
    assert not any("#| export" in s or "default_exp" in s for s in trees)
    assert any("::: {#thm-zeros}" in s for s in note)  # Quarto's form of a theorem, not Jupyter's
    assert not any('class="alert' in s for s in note) and index[0].startswith("# bstruct")
    listed = {f for g in config["project"]["render"] for f in ROOT.glob(g)}
    assert {f for f in listed if ".ipynb_checkpoints" not in f.parts} == set(notebooks(ROOT))
    assert len(config["ipynb-filters"]) == 1 and (ROOT / config["ipynb-filters"][0]).exists()


def test_the_index_lists_results_and_names(site):
    text = (site / "_docs/register.html").read_text()
    assert '<a href="room/first.html#thm-x">Pythagoras</a> <small>First page</small>' in text
    assert '<a href="room/first.html#def-y">Y</a>' in text
    assert '<a href="room/first.html#double"><code>double</code>' in text
    assert "There is no such page" in (site / "_docs/404.html").read_text()


def test_a_parameter_is_no_link(copy):
    save(copy, "room/02_second", "%% md\n# Second\n\n%% code\n#| default_exp second\n\n%% code\n"
         "#| export\ndef other(double: int):\n    '`double`: a number.'\n    return double\n")
    assert build(copy, pandoc=True)[2] == []
    page = (copy / "_docs/room/second.html").read_text()
    row = re.search(r"<td[^>]*>(<code>double</code>)</td>.*?<td[^>]*>a number</td>", page, re.S)
    assert row and 'href="first.html#double"' not in page


CODE = '''import os
@deco
def f(x, *, k=1.5):
    "Of x < 3 & more."
    for i in range(30):  # a comment
        if i not in x and k > 2.5:
            return lambda z: "text"
'''


def test_code_has_the_text_and_the_colours_of_pandoc():
    text = f"```python\n{CODE}```"
    own = coloured(pypandoc.convert_text(text, "html", "markdown",
                                         extra_args=["--syntax-highlighting=none"]))
    theirs = pypandoc.convert_text(text, "html", "markdown")
    blocks = [re.sub(r"<[^>]+>", "", t).strip() for t in (own, theirs)]
    assert blocks[0].replace("&quot;", '"') == blocks[1].replace("&quot;", '"')
    for style in ("kw", "cf", "im", "co", "dv", "fl", "at", "st"):
        words = [" ".join(re.findall(rf'<span class="{style}">(.*?)</span>', t)) for t in (own, theirs)]
        assert words[0].split() == words[1].split() != [], style
    assert own.count("<span>") == theirs.count('<span id="cb1-') == 7  # one a line
    assert '<span class="co"># all</span>' in coloured(  # though no line ends behind it
        '<pre class="sh"><code>make test  # all</code></pre>')
    assert "<span" not in coloured('<pre class="output"><code>for x in y</code></pre>')
