"""The table of parameters of a function or class, from its signature, its docstring and the
comments behind its fields."""
import ast
import html
import itertools
import re
from functools import lru_cache
from pathlib import Path

import yaml

SENTENCE = re.compile(r"(?<=[.;])\s+(?=[`A-Z])")

WORDS = yaml.safe_load((Path(__file__).parent / "site/parameters.yml").read_text(encoding="utf-8"))


def arguments(args: ast.arguments) -> list[tuple[ast.arg, ast.expr | None]]:
    "The parameters with their defaults; `self` and `cls` are left out."
    plain = args.posonlyargs + args.args
    defaults = [None] * (len(plain) - len(args.defaults)) + args.defaults
    pairs = list(zip(plain, defaults, strict=True)) + list(zip(args.kwonlyargs, args.kw_defaults,
                                                               strict=True))
    rest = [(a, None) for a in (args.vararg, args.kwarg) if a]
    return [(a, d) for a, d in pairs if a.arg not in ("self", "cls")] + rest


def common(name: str, kind: str) -> str:
    "What a parameter of this type and name, or of one of them, is in the whole library."
    if (own := f"{name}: {kind}") in WORDS["both"]:
        return WORDS["both"][own]
    return WORDS["types"].get(kind.removesuffix(" | None"), "") or WORDS["names"].get(name, "")


def entries(node: ast.AST, source: str) -> list[tuple[str, str, str, str]]:
    "Name, type, default and text of what a function or class is given."
    lines, text = source.splitlines(), ast.get_docstring(node) or ""
    init = next((f for f in node.body if isinstance(f, ast.FunctionDef) and f.name == "__init__"),
                None) if isinstance(node, ast.ClassDef) else node
    if init is not None:
        text += "\n" + (ast.get_docstring(init) or "") if init is not node else ""
        return [(a.arg, shown(a.annotation), shown(d), said(a.arg, text) or behind(a, lines)
                 or common(a.arg, shown(a.annotation)))
                for a, d in arguments(init.args)]
    fields = [n for n in node.body if isinstance(n, ast.AnnAssign)
              and "ClassVar" not in ast.unparse(n.annotation)]
    return [(f.target.id, shown(f.annotation), shown(f.value),
             behind(f, lines) or said(f.target.id, text)
             or common(f.target.id, shown(f.annotation))) for f in fields]


def shown(node: ast.expr | None) -> str:
    "An annotation without quotes, or a default, as text; what is long loses its end."
    if node is None:
        return ""
    quoted = isinstance(node, ast.Constant) and isinstance(node.value, str)
    text = node.value if quoted and re.fullmatch(r"[A-Za-z_][\w.\[\], |]*", node.value) and \
        node.value[:1].isupper() else ast.unparse(node)
    return text if len(text) <= 60 else text[:57] + "…"


def behind(node: ast.AST, lines: list[str]) -> str:
    "The comment behind a line, or the lines of comment above it."
    if comment := re.search(r"  # (.+)$", lines[node.end_lineno - 1]):
        return comment[1].strip()
    above = [re.match(r"\s+# (.+)$", line) for line in reversed(lines[:node.lineno - 1])]
    found = [m[1].strip() for m in itertools.takewhile(bool, above) if m]
    return " ".join(reversed(found))


@lru_cache(maxsize=4096)
def said(name: str, text: str) -> str:
    """What a docstring says of a parameter: behind `name`:, or name: where a sentence begins, or in
    the first sentence that names it and says more than the name."""
    if name not in text:
        return ""
    text = " ".join(text.split())
    shape, others = r"(?:\s+\[[^\]]*\])?", r"(?:, `\w+`)*(?: and `\w+`)?"
    called, end = rf"`{name}(?:\([^`]*\))?`", r"(.+?)(?:[.;](?=\s)|\.?$)"
    own = (re.search(rf"{called}{shape}{others}: {end}", text)
           or re.search(rf"(?:^|(?<=[.;,] )){name}: {end}", text))
    if own:
        return own[1].strip()
    numpydoc = re.search(rf"(?:^| ){name} : \S.*?(?= \w+ : |$)", text)
    if numpydoc:
        return ""
    sentences = [s.strip(" .;") for s in SENTENCE.split(text) if re.search(called, s)]
    more = [s for s in sentences if re.search(r"[a-z]{2}", re.sub(rf"{called}{shape}", "", s))]
    return more[0] if more else ""


def table(node: ast.AST, source: str) -> str:
    "A pipe table of the parameters; empty where there are none."
    found = entries(node, source)
    if not found or "Parameters\n" in (ast.get_docstring(node) or ""):
        return ""
    cell = lambda text: text.replace("|", "\\|")
    code = lambda text: (f"<code>{html.escape(text).replace('|', '&#124;')}</code>" if "|" in text
                         else "`" + text.replace("`", "'") + "`" if text else "")
    rows = [f"| {code(n)} | {cell(code(t))} | {cell(code(d))} | {cell(s)} |"
            for n, t, d, s in found]
    return "\n".join(["| parameter | type | default | meaning |", "|:--|:--|:--|:--|", *rows])
