"""Theorems, references and captions as plain Jupyter shows them.

`python -m tools.reading [notebook ...]` rewrites the notebooks, all of them without an argument.

Authors may write Quarto's syntax; `make export` turns it into what every viewer of notebooks shows,
and the site turns it back (`to_quarto`) before it renders. A block becomes an HTML `div` with its
number and title in bold, a reference a link with its number, an equation gets a `\\tag`, a link to
a page one to its notebook, and a citation the author's name. Nothing is lost on the way and back.
"""

import html
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from tools import nb as nbtext

ROOT = Path(__file__).resolve().parent.parent
NAMES = {
    "thm": "Theorem",
    "lem": "Lemma",
    "cor": "Corollary",
    "prp": "Proposition",
    "cnj": "Conjecture",
    "def": "Definition",
    "exm": "Example",
    "exr": "Exercise",
    "rem": "Remark",
    "alg": "Algorithm",
    "fig": "Figure",
    "tbl": "Table",
    "eq": "Equation",
    "sec": "Section",
}
ASIDES = {"proof": "Proof", "remark": "Remark", "solution": "Solution"}
COLOURS = {
    "note": "info",
    "tip": "success",
    "warning": "warning",
    "important": "danger",
    "caution": "danger",
}
KIND = "|".join(NAMES)
LABEL = rf"(?:{KIND})-[\w-]*\w"
CODE = re.compile(r"(^(`{3,}|~{3,}).*?^\2\s*?$|(`+)(?!`).*?(?<!`)\3(?!`))", re.M | re.S)
FENCE = re.compile(r"^(:{3,})[ \t]*(?:\{([^}]*)\})?[ \t]*$", re.M)
OPEN = re.compile(
    r'^<(div|details) class="([^"]*)"(?: id="([^"]+)")?>(?:<summary>(.*?)</summary>)?$'
)
ACCENT = re.compile(r"\\[\"'`^~=.](?:\{(\w)\}|(\w))")
LISTING = re.compile(r"(^(`{3,}|~{3,}).*?^\2\s*?$)", re.M | re.S)
CITED = re.compile(r"\[(-?@[A-Za-z][^\]]*)\]")


@dataclass
class Labels:
    "What a page labels, numbered in the order of the page, and what its bibliography says."

    number: dict[str, int] = field(default_factory=dict)
    entries: dict[str, dict] = field(default_factory=dict)
    cited: list[str] = field(default_factory=list)

    def name(self, label: str) -> str:
        kind, n = NAMES[label.partition("-")[0]], self.number.get(label, "?")
        return f"{kind} ({n})" if kind == "Equation" else f"{kind} {n}"

    def author(self, key: str) -> str:
        entry = self.entries.get(key)
        return f"{short_authors(entry['author'])}, {entry['year']}" if entry else key


def outside(code: re.Pattern, change: Callable[[str], str], text: str) -> str:
    "`change` applied to what is no code."
    parts, period = re.split(code, text), code.groups + 1
    return "".join(
        change(p) if i % period == 0 else p if i % period == 1 else ""
        for i, p in enumerate(parts)
        if p
    )


# Quarto to Jupyter


@lru_cache(maxsize=8)
def bibliography(text: str) -> dict[str, dict]:
    "The entries of a BibTeX file: key to fields."
    found = {}
    for part in re.split(r"^(?=@\w+\s*\{)", text, flags=re.M):
        if head := re.match(r"@\w+\s*\{\s*([^,\s]+)\s*,", part):
            pairs = re.findall(
                r"(\w+)\s*=\s*(?:\{((?:[^{}]|\{(?:[^{}]|\{[^{}]*\})*\})*)\}|\"([^\"]*)\"|(\d+))",
                part,
            )
            tidy = lambda s: re.sub(ACCENT, r"\1\2", s).replace("--", "–")
            found[head[1]] = {
                k.lower(): re.sub(r"[{}]|\s+(?=\s)", "", tidy(a or b or c)) for k, a, b, c in pairs
            }
    return found


def short_authors(authors: str) -> str:
    "`Maclaurin et al.` of the authors of an entry."
    people = [a.strip() for a in re.split(r"\s+and\s+", authors)]
    last = [p.partition(",")[0] if "," in p else p.split()[-1] for p in people]
    return " and ".join(last) if len(last) < 3 else f"{last[0]} et al."


def reference(key: str, entry: dict) -> str:
    "One line of a list of references."
    place = (
        entry.get("journal")
        or entry.get("booktitle")
        or entry.get("publisher")
        or entry.get("school", "")
    )
    return (
        f'- <a id="ref-{key}"></a>{entry["author"].replace(" and ", ", ")} ({entry["year"]}). '
        f"{entry['title']}." + (f" *{place}*." if place else "")
    )


def labelled(cells: list[dict]) -> dict[str, int]:
    "The labels of a page with their numbers."
    sources = [
        c["source"]
        if c["cell_type"] == "markdown"
        else "\n".join(re.findall(r"^#\| label: .*$", c["source"], re.M))
        for c in cells
    ]
    text = re.sub(CODE, "", to_quarto("\n\n".join(sources)))
    found, counts = {}, {}
    for label in re.findall(rf"(?:\{{#|^#\| label: )({LABEL})", text, re.M):
        kind = label.partition("-")[0]
        counts[kind] = counts.get(kind, 0) + 1
        found.setdefault(label, counts[kind])
    return found


def attributes(text: str) -> tuple[str, list[str], dict[str, str]]:
    'Identifier, classes and the rest of `#id .class key="value"`.'
    id = next(iter(re.findall(r"#([\w-]+)", text)), "")
    return (
        id,
        re.findall(r"(?<!\S)\.([\w-]+)", text),
        dict(re.findall(r"([\w-]+)=\"([^\"]*)\"", text)),
    )


def block(attrs: str, body: str, labels: Labels) -> str:
    "A fenced block as HTML around its text."
    id, classes, options = attributes(attrs)
    title = re.match(r"\s*#{1,6} (.+)\n*", body)
    name, rest = (title[1].strip(), body[title.end() :]) if title else ("", body)
    callout = next((c for c in classes if c.startswith("callout-")), "")
    kind = "" if not id or id == "refs" else id.partition("-")[0]
    gap = (
        "\n\n"
        if re.match(r"[-*|\d#<:`]", rest.lstrip()) and not rest.lstrip().startswith("**")
        else "\n"
    )
    if id == "refs":
        items = [
            reference(k, labels.entries[k])
            for k in dict.fromkeys(labels.cited)
            if k in labels.entries
        ]
        return '<div class="references" id="refs">\n\n' + "\n".join(items) + "\n\n</div>"
    if kind in NAMES:
        head = f"**{labels.name(id)}**" + (f" ({name})." if name else ".")
        return f'<div class="alert alert-info" id="{id}">\n\n{head}{gap}{rest.strip()}\n\n</div>'
    if callout and options.get("collapse"):
        return (
            f'<details class="{callout}"><summary>{html.escape(name, quote=False)}</summary>\n\n'
            f"{rest.strip()}\n\n</details>"
        )
    if callout:
        colour = COLOURS[callout.removeprefix("callout-")]
        head = f"**{name}**\n\n" if name else ""
        return f'<div class="alert alert-{colour} {callout}">\n\n{head}{rest.strip()}\n\n</div>'
    aside = next((c for c in classes if c in ASIDES), "")
    if aside:
        head = f"*{ASIDES[aside]}{f' ({name})' if name else ''}.*"
        return f'<div class="{aside}">\n\n{head}{gap}{rest.strip()}\n\n</div>'
    return f'<div class="{" ".join(classes)}">\n\n{body.strip()}\n\n</div>'


def blocks(text: str, labels: Labels) -> str:
    "Every fenced block of a text, inner ones first."
    stack, last = [("", [])], 0
    hidden = [m.span() for m in CODE.finditer(text)]
    for m in FENCE.finditer(text):
        if any(a <= m.start() < b for a, b in hidden):
            continue
        stack[-1][1].append(text[last : m.start()])
        last = m.end()
        if m[2] is not None:
            stack.append((m[2], []))
        elif len(stack) > 1:
            attrs, parts = stack.pop()
            stack[-1][1].append(block(attrs, "".join(parts), labels))
        else:
            raise ValueError("a `:::` closes a block that no `::: {...}` opened in this cell")
    if len(stack) > 1:
        raise ValueError(f"the block ::: {{{stack[-1][0]}}} is not closed in its cell")
    return "".join([*stack[0][1], text[last:]])


def citation(text: str, labels: Labels) -> str:
    "`[@key, p. 3; @other]` with the names of the authors."

    def one(part: str) -> str:
        m = re.match(r"\s*(-?)@([\w:.-]*\w)(.*)", part, re.S)
        if not m or m[1]:
            raise ValueError(
                f"citation [{text}] is not understood: write [@key] or [@key, p. 3; @other]"
            )
        labels.cited.append(m[2])
        return f"[{labels.author(m[2])}](#ref-{m[2]}){m[3]}"

    return "(" + "; ".join(one(p) for p in text.split(";")) + ")"


def whole_lines(text: str, labels: Labels) -> str:
    "Headings, captions and equations with their labels."
    text = re.sub(r"^(#{1,6} .*?) *\{\.unnumbered\}$", r"\1", text, flags=re.M)
    text = re.sub(rf"^(#{{1,6}} .*?) *\{{#({LABEL})\}}$", r'\1 <a id="\2"></a>', text, flags=re.M)
    text = re.sub(
        rf"^: (.*?) *\{{#({LABEL})\}}$",
        lambda m: f'*{labels.name(m[2])}.* {m[1]} <a id="{m[2]}"></a>',
        text,
        flags=re.M,
    )
    text = re.sub(
        rf"\$\$ *\{{#({LABEL})\}}",
        lambda m: rf'\tag{{{labels.number[m[1]]}}} $$ <a id="{m[1]}"></a>',
        text,
    )
    return text


def inline(text: str, labels: Labels) -> str:
    "References and citations of a text without code."
    text = re.sub(
        rf"(?<![\w@\[;-])-@({LABEL})", lambda m: f"[{labels.number.get(m[1], '?')}](#{m[1]})", text
    )
    text = re.sub(rf"(?<![\w@])@({LABEL})", lambda m: f"[{labels.name(m[1])}](#{m[1]})", text)
    text = re.sub(CITED, lambda m: citation(m[1], labels), text)
    bare = re.compile(r"(?<![\w@\[;(/.-])@([a-z]+\d{4}\w*)")

    def named(m: re.Match) -> str:
        labels.cited.append(m[1])
        return "[{} ({})](#ref-{})".format(*labels.author(m[1]).rpartition(", ")[::2], m[1])

    return re.sub(bare, named, text)


def notebook_link(target: str, here: Path, root: Path) -> str:
    "The notebook of a page that a link names: `../room/name.html` is `../room/03_name.ipynb`."
    path, _, anchor = target.partition("#")
    folder = (here.parent / path).parent
    stem = Path(path).stem
    found = [
        f
        for f in folder.glob("*.ipynb")
        if re.sub(r"^\d+_", "", f.stem) == re.sub(r"^\d+_", "", stem)
    ]
    if not found:
        return target
    made = path[: len(path) - len(Path(path).name)] + found[0].name
    return made + (f"#{anchor}" if anchor else "")


def to_jupyter(cells: list[dict], here: Path, root: Path = ROOT) -> Iterator[str]:
    "The sources of the cells of a notebook as Jupyter shows them."
    bib = root / "nbs/references.bib"
    entries = bibliography(bib.read_text(encoding="utf-8")) if bib.exists() else {}
    labels = Labels(labelled(cells), entries)
    link = re.compile(r"(?<=\]\()([^)\s:#]*\.(?:html|ipynb)(?:#[^)\s]*)?)(?=\))")
    for cell in cells:
        if cell["cell_type"] != "markdown":
            yield cell["source"]
            continue
        text = outside(LISTING, lambda t: whole_lines(t, labels), to_quarto(cell["source"]))
        text = outside(CODE, lambda t: inline(t, labels), text)
        text = outside(
            CODE, lambda t: re.sub(link, lambda m: notebook_link(m[1], here, root), t), text
        )
        yield blocks(text, labels)


# Jupyter to Quarto


def fence(m: re.Match) -> str:
    "The fence that opens a block."
    tag, classes, id, summary = m.groups()
    if id == "refs":
        return "::: {#refs}"
    if tag == "details":
        return f'::: {{.{classes} collapse="true"}}\n## {html.unescape(summary or "")}'
    named = " ".join(f".{c}" for c in classes.split() if not c.startswith("alert"))
    return "::: {" + " ".join(filter(None, [f"#{id}" if id else "", named])) + "}"


def opened(lines: list[str]) -> Iterator[str]:
    "Lines with blocks as fences and their heads as headings, without the list of references."
    stack, head = [], None
    for line in lines:
        if m := OPEN.match(line):
            stack.append(fence(m))
            head = stack[-1]
            yield stack[-1]
        elif stack and line in ("</div>", "</details>"):
            stack.pop()
            head = None
            yield ":::"
        elif (stack and stack[-1] == "::: {#refs}") or (head and not line.strip()):
            continue
        elif head:
            kept = first(head, line)
            yield from kept
            head = None if kept == [line] else " "
        else:
            yield line


def first(head: str, line: str) -> list[str]:
    "The first line of a block without the words that were made for it."
    made = (
        re.match(rf"\*\*(?:{'|'.join(NAMES.values())}) [\d?]+\*\*(?: \((.*)\))?\.$", line)
        if "{#" in head
        else None
    )
    aside = re.match(rf"\*(?:{'|'.join(ASIDES.values())})(?: \((.*)\))?\.\*$", line)
    title = (
        re.match(r"\*\*(.+)\*\*$", line) if "callout" in head and "collapse" not in head else None
    )
    if m := made or aside or title:
        return [f"## {m[1]}"] if m[1] else []
    return [line]


def to_quarto(text: str) -> str:
    "The text of a cell in Quarto's syntax, whichever of the two it is in."

    def lines(t: str) -> str:
        t = re.sub(rf'\\tag\{{\d+\}} \$\$ <a id="({LABEL})"></a>', r"$$ {#\1}", t)
        t = re.sub(rf'^(#{{1,6}} .*?) <a id="({LABEL})"></a>$', r"\1 {#\2}", t, flags=re.M)
        return re.sub(
            rf'^\*\w+ [\d?]+\.\* (.*?) <a id="({LABEL})"></a>$', r": \1 {#\2}", t, flags=re.M
        )

    def words(t: str) -> str:
        t = re.sub(rf"\[(?:{'|'.join(NAMES.values())}) \(?[\d?]+\)?\]\(#({LABEL})\)", r"@\1", t)
        t = re.sub(rf"\[[\d?]+\]\(#({LABEL})\)", r"-@\1", t)
        t = re.sub(r"\[[^\[\]]+ \(\d{4}\w?\)\]\(#ref-([\w:.-]+)\)", r"@\1", t)
        cite = r"\[[^\[\]]+\]\(#ref-([\w:.-]+)\)([^();\[\]]*)"
        return re.sub(
            rf"\(({cite}(?:; {cite})*)\)", lambda m: "[" + re.sub(cite, r"@\1\2", m[1]) + "]", t
        )

    text = outside(CODE, words, outside(LISTING, lines, text))
    if not re.search(r'^<(?:div|details) class="', text, re.M):
        return text
    return re.sub(r"\n+(?=:::$)", "\n", "\n".join(opened(text.split("\n"))), flags=re.M)


# Notebooks


def settled(nb: dict, here: Path, root: Path = ROOT) -> dict:
    "The notebook in the form that Jupyter shows."
    sources = to_jupyter(nb["cells"], here, root)
    return nb | {"cells": [c | {"source": s} for c, s in zip(nb["cells"], sources, strict=True)]}


def settle(path: Path, root: Path = ROOT) -> bool:
    "Rewrite a notebook where it is not in that form; says whether it was not."
    nb = nbtext.read(path)
    try:
        new = settled(nb, path, root)
    except (ValueError, KeyError) as e:
        raise ValueError(f"{path.name}: {e}") from e
    if new != nb:
        nbtext.write(new, path)
    return new != nb


def main(args: list[str]) -> None:
    from tools.export import notebooks

    for path in [Path(a).resolve() for a in args] or notebooks(ROOT):
        if settle(path):
            print(path.relative_to(ROOT))


if __name__ == "__main__":
    main(sys.argv[1:])
