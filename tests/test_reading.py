"""What a reader of plain Jupyter sees: blocks, references and links in a form that every viewer
shows."""
import re

import pytest

from tools import nb as nbtext
from tools.check import ROOT, unreadable
from tools.export import notebooks
from tools.names import lost, patched, rebound, unknown, unready
from tools.reading import CODE, bibliography, settle, settled, short_authors, to_jupyter, to_quarto

QUARTO = r"""# Page

::: {#thm-x}
## Of *Pythagoras* ($n = 2$)
On a right angle
$$
a^2 + b^2 = c^2 .
$$ {#eq-pyth}
:::

::: {.proof}
By @eq-pyth and @thm-x, see [@one1999, p. 3; @two] and @one1999.
:::

::: {#def-y}
- a *side*
:::

-@def-y is one; $$ e = 1 $$ {#eq-second} and `@eq-pyth` is code.

::: {.callout-warning}
## The deck
It prints $a + b = c$.
:::

::: {.callout-tip collapse="true"}
## Solution of `x` & y
Until it is opened.
:::

```
::: {.note}
@eq-pyth
```

| a |
|--:|
| 1 |

: Numbers of `a` {#tbl-numbers}

## Last {#sec-last}

[other](other.html#thm-z), [other](02_other.ipynb)

## References

::: {#refs}
:::"""
BIB = """@article{one1999, author={Anna One and Bo Two and Cid Three}, title={First {P}art},
  journal={J},
  year={1999}}
@book{two, author={Two, B.}, title={T}, publisher={P}, year = 2001}
"""
JUPYTER = [
    '<div class="alert alert-info" id="thm-x">\n\n**Theorem 1** (Of *Pythagoras* ($n = '
    '2$)).\nOn a right',
    'c^2 .\n\\tag{1} $$ <a id="eq-pyth"></a>',
    '<div class="proof">\n\n*Proof.*\nBy [Equation (1)](#eq-pyth) and [Theorem 1](#thm-x)',
    "([One et al., 1999](#ref-one1999), p. 3; [Two, 2001](#ref-two)) and [One et al. "
    "(1999)](#ref-one1999).",
    "**Definition 1**.\n\n- a *side*",
    "[1](#def-y) is one; $$ e = 1 \\tag{2} $$",
    '<div class="alert alert-warning callout-warning">\n\n**The deck**\n\nIt prints',
    '<details class="callout-tip"><summary>Solution of `x` &amp; y</summary>\n\nUntil',
    "```\n::: {.note}\n@eq-pyth\n```",
    "`@eq-pyth` is code",
    '*Table 1.* Numbers of `a` <a id="tbl-numbers"></a>',
    '## Last <a id="sec-last"></a>',
    "[other](02_other.ipynb#thm-z), [other](02_other.ipynb)",
    '<a id="ref-one1999"></a>Anna One, Bo Two, Cid Three (1999). First Part. *J*.',
]


@pytest.fixture
def page(tmp_path):
    "A notebook beside another one, and a bibliography."
    (tmp_path / "nbs").mkdir()
    (tmp_path / "nbs/references.bib").write_text(BIB)
    for name, text in {"01_page": QUARTO, "02_other": "# Other"}.items():
        nbtext.write(nbtext.build(f"%% md\n{text}\n", None, name), tmp_path / f"nbs/{name}.ipynb")
    return tmp_path / "nbs/01_page.ipynb"


def shown(page):
    return "\n\n".join(to_jupyter(nbtext.read(page)["cells"], page, page.parent.parent))


@pytest.mark.parametrize("piece", JUPYTER)
def test_each_construct_has_its_form(page, piece):
    assert piece in shown(page)


def test_the_way_back_is_the_text(page):
    links = lambda text: text.replace("](other.html", "](02_other.ipynb")
    assert to_quarto(shown(page)) == links(QUARTO)
    assert to_quarto(QUARTO) == QUARTO


def test_a_notebook_is_rewritten_once(page):
    root = page.parent.parent
    assert unreadable(page, root) and settle(page, root)
    assert not settle(page, root) and unreadable(page, root) == []


def test_numbers_follow_the_page(page):
    root = page.parent.parent
    settle(page, root)
    nb = nbtext.read(page)
    nb["cells"].insert(0, nb["cells"][0] | {"id": "new", "source": "::: {#thm-new}\nOne.\n:::"})
    text = settled(nb, page, root)["cells"][1]["source"]
    assert "**Theorem 2** (Of" in text and "[Theorem 2](#thm-x)" in text


@pytest.mark.parametrize("text, complaint", [
    ("::: {.proof}\nNever closed.", "is not closed"), ("Words.\n:::", "closes a block"),
    ("text ::: {.callout-note}\nmore\n:::",
     "closes a block"), ("[-@one1999]", "is not understood")])
def test_what_is_broken_is_refused(page, text, complaint):
    nbtext.write(nbtext.build(f"%% md\n# P\n\n{text}\n", None, "p"), page)
    with pytest.raises(ValueError, match=complaint):
        settle(page, page.parent.parent)
    assert complaint in unreadable(page, page.parent.parent)[0]


def test_authors():
    assert bibliography(BIB)["one1999"]["title"] == "First Part"
    assert short_authors("Anna One and Two, Bo") == "One and Two"


@pytest.mark.parametrize("path", notebooks(ROOT), ids=lambda f: f.relative_to(ROOT).as_posix())
def test_notebook_shows_no_raw_syntax(path):
    cells = [c for c in nbtext.read(path)["cells"] if c["cell_type"] == "markdown"]
    text = re.sub(CODE, "", "\n\n".join(c["source"] for c in cells))
    assert re.findall(r".*(?::::|\{[#.][a-z]|(?<![\w.])@[a-z]+[-\d]).*", text) == []
    assert unreadable(path) == []
    assert set(re.findall(r"\]\(#(ref-[\w-]+)\)", text)) <= set(re.findall(r'id="([\w-]+)"', text))


RUNS = {
    "print(x)": "cell a uses x", "def f(): return y": "cell a uses y",
    "#| export\ndef f(): return y": "cell a uses y in a function",
    "[k for k in ks]": "cell a uses ks", "class A:\n    b = c": "cell a uses c",
    "def f(a: B): pass": "cell a uses B",
        "from os.path import *\njoin, nothing": "cell a uses nothing",
    "import os\nos.x; __name__; print; _": "",
        "def top(n):\n    m = n\n    return [m for _ in m]": "",
    "def f(): return later\n\nlater = 1": "", "%time x\n!ls": "", "x: int = 1\nfor i in [x]: i": "",
    "from tools.nb import *\nread": "", "with open('f') as g: g": "", "lambda: (yy := 1)": "",
    "def f():\n    global z\n    z = 1\nz": "", "try: pass\nexcept OSError as e: e": "",
}


@pytest.mark.parametrize("source, complaint", RUNS.items())
def test_a_name_that_nothing_defines_is_found(source, complaint):
    found = unknown({"cells": [{"cell_type": "code", "id": "a", "source": source}]})
    assert len(found) == bool(complaint) and all(f.startswith(complaint) for f in found), found


def test_the_order_of_cells_counts_and_slow_cells_give_nothing_to_others():
    cell = lambda id, source: {"cell_type": "code", "id": id, "source": source}
    use, make = cell("use", "print(x)"), cell("make", "x = 1")
    assert unknown({"cells": [use, make]}) and not unknown({"cells": [make, use]})
    slow, after = cell("slow", "#| slow\nx = 1"), cell("more", "#| slow\nprint(x)")
    assert len(unknown({"cells": [slow, use]})) == 1 and not unknown({"cells": [slow, after]})


def test_what_a_called_function_needs_counts():
    cell = lambda id, source: {"cell_type": "code", "id": id, "source": source}
    early = [cell("a", "#| export\ndef f(): return _g()"), cell("b", "#| test f\nf()"),
             cell("c", "#| exporti\ndef _g(): return 1")]
    (found,) = unknown({"cells": early})
    assert found.startswith("cell b uses _g")
    assert not unknown({"cells": [early[0], early[2], early[1]]})
    method = [cell("a", "#| export\nclass A:\n    def m(self): return _g()\n    def n(self): "
                        "return 1"),
              cell("b", "A().n()"), cell("c", "A().m()"), early[2]]
    (found,) = unknown({"cells": method})
    assert found.startswith("cell c uses _g")


def test_a_name_of_the_module_with_another_meaning_is_found():
    cell = lambda id, source: {"cell_type": "code", "id": id, "source": source}
    module = [cell("a", "#| exporti\nfrom os.path import join"),
              cell("b", "#| export\ndef f(x): return join(x, 'y')")]
    (found,) = rebound({"cells": [*module, cell("c", "#| test f\njoin = {1}\nf('x')")]})
    assert found.startswith("cell c gives join another meaning")
    for fine in ("from os.path import join", "joined = {1}", "f = 1", "[join for join in [1]]"):
        assert not rebound({"cells": [*module, cell("c", fine)]}), fine


def test_a_marked_cell_without_ready_is_found():
    cell = lambda id, source: {"cell_type": "code", "id": id, "source": source}
    slow, told = cell("s", "#| slow\nprint(1)"), cell("r", "#| hide\nready()")
    assert "ready()" in unready({"cells": [slow]})[0] and unready({"cells": [slow, told]})
    assert not unready({"cells": [told, slow]}) and not unready({"cells": [cell("a", "1")]})


def test_a_name_that_a_patched_notebook_loses_is_found():
    block = "with patch.dict(names_of(f), N=1):\n    a = f()\n"
    cell = lambda more: {"cells": [{"cell_type": "code", "id": "c", "source": block + more}]}
    (found,) = lost(cell("assert a"))
    assert found.startswith("cell c uses a behind")
    assert not lost(cell("    assert a")) and not lost(cell("b = 1"))


@pytest.mark.parametrize("line", [
    'patch.setattr("bstruct.room.name.fit", f)', "old, bstruct.room.name.N = bstruct.room.name.N, 1",
    'with patch("bstruct.room.name.fit"): f()', "bstruct.room.name.N = 2"])
def test_a_replaced_name_of_the_own_module_is_found(line):
    cell = lambda id, source: {"cell_type": "code", "id": id, "source": source}
    (found,) = patched({"cells": [cell("m", "#| default_exp room.name"), cell("c", line)]})
    assert found.startswith("cell c replaces a name")
    assert not patched({"cells": [cell("m", "#| default_exp room.other"), cell("c", line)]})
