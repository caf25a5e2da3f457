"The page of symbols: one symbol, one meaning, and every name is one of the library."
import ast
import re
from pathlib import Path

import pytest

from tools.export import notebooks
from tools.nb import read

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "nbs/start/12_notation.ipynb"
SPAN = re.compile(r"\$\$.+?\$\$|(?<![\\$])\$(?!\$)[^$]+?\$", re.S)
BASE = re.compile(r"\\(?:boldsymbol|mathbf|mathcal|mathbb|mathrm|bar) ?(?:\\?[A-Za-z]+|\{\w+\})"
                  r"|\\[a-z]+|[A-Za-z]")
# a letter of the table that stands for something else: entropy, divergence, momentum, temperature
FORBIDDEN = {r"(?<!\\mathcal )(?<![\\A-Za-z])[HS]\((?:p|q|\\alpha|\\pi)": ".",
             # but where a printed formula is quoted
             r"D_\{?(?:\\mathrm\{)?KL": "nbs/(?!errata/01|distributions/04)",
             r"\\mu(?![a-z])": r"nbs/hypergradient/(?!14)", r"2\^H|(?<!\w)H!": ".",
             r"\\mathsf E|\\operatorname E|\\operatorname\{KL\}": "."}


def math(path: Path) -> list[str]:
    "The mathematics of a notebook's text."
    texts = (c["source"] for c in read(path)["cells"] if c["cell_type"] == "markdown")
    return [m[0].strip("$") for text in texts for m in SPAN.finditer(text)]


def rows(text: str) -> list[tuple[list[str], str]]:
    "Symbols and code names of every line of a table."
    cells = [re.split(r"(?<!\\)\|", line)[1:4] for line in text.splitlines()
             if line.startswith("| $")]
    return [([m[0].strip("$") for m in SPAN.finditer(s)], code) for s, _, code in cells]


def symbol(text: str) -> str:
    "The letter of a symbol with its own index, without arguments and ranges."
    base = BASE.search(text)
    index = re.match(r"_\{\\mathrm\{\w+\}\}", text[base.end():])
    return base[0].replace(" ", "") + (index[0] if index else "")


def twice(table: list[tuple[list[str], str]]) -> list[str]:
    "Symbols that stand in the table more than once."
    every = [symbol(s) for symbols, _ in table for s in symbols if not s.startswith("(")
             and "\\in E" not in s and not s.startswith("l =")]
    return sorted({s for s in every if every.count(s) > 1})


def known_names() -> set[str]:
    "What the library defines: functions, classes, parameters, attributes and words of settings."
    found = set()
    for path in (ROOT / "bstruct").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                found.add(node.name)
            elif isinstance(node, ast.arg | ast.keyword):
                found.add(node.arg)
            elif isinstance(node, ast.AnnAssign | ast.Assign):
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                found |= {n.id for t in targets for n in ast.walk(t) if isinstance(n, ast.Name)}
    return found


TABLE = rows("\n".join(c["source"] for c in read(PAGE)["cells"] if c["cell_type"] == "markdown"))
OTHERS = {p.relative_to(ROOT).as_posix(): math(p) for p in notebooks(ROOT) if p != PAGE}


def test_no_symbol_has_two_meanings():
    assert len(TABLE) > 30 and twice(TABLE) == []
    assert twice([*TABLE, (["\\mu_i"], "")]) == ["\\mu"]
    assert twice([*TABLE, (["H"], "")]) == ["H"]


@pytest.mark.parametrize("symbols", [s for s, _ in TABLE], ids=lambda s: s[0])
def test_every_symbol_is_used_by_another_page(symbols):
    for one in map(symbol, symbols):
        bare = re.sub(r"\\(?:boldsymbol|mathbf) ?", "", one)
        forms = "|".join(rf"{re.escape(f)}(?![a-zA-Z])" for f in {one, bare})
        spaced = forms.replace(r"\\mathcal", r"\\mathcal ?").replace(r"\\mathbb", r"\\mathbb ?")
        assert any(re.search(spaced.replace(r"\\bar", r"\\bar ?"), m.replace("\\mathbf ", "\\mathbf"))
                   for page in OTHERS.values() for m in page), one


def test_every_name_of_the_table_is_one_of_the_library():
    names = [n for _, code in TABLE for n in re.findall(r"`([^`\"]+)`", code)]
    known = known_names()
    own = {n: n.split(".") for n in names if not n.endswith("…")}
    assert [n for n, parts in own.items() if not known.issuperset(parts)] == []
    assert all(any(k.startswith(n[:-1]) for k in known) for n in names if n.endswith("…"))


def misused(pages: dict[str, list[str]]) -> list[str]:
    "Pages with a symbol in another meaning than that of the table."
    return [f"{page}: {m}" for page, spans in pages.items() for m in spans
            for pattern, where in FORBIDDEN.items()
            if re.search(where, page) and re.search(pattern, m)]


def test_no_page_uses_a_symbol_for_something_else():
    assert misused(OTHERS) == []
    planted = {"nbs/hypergradient/01_x.ipynb": ["v' = \\mu v + g"], "nbs/a/01_x.ipynb": [
        "H(\\alpha/\\sum\\alpha)", "2^H H!", "S(q) + 1", "D_{KL}(q\\|p)", "\\mu"]}
    assert len(misused(planted)) == 5
