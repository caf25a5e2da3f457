"""Is the prose easy to read? `python -m tools.prose [notebook ...]` names paragraphs that are too
long, sentences that a page says twice, expectations and divergences in another font than everywhere
else, and words in the other spelling, in the notebooks and in docstrings and messages."""
import ast
import re
import sys
from collections import Counter
from pathlib import Path

from tools import nb as nbtext
from tools.reading import CODE

ROOT = Path(__file__).resolve().parent.parent
WORDS = 100  # of a paragraph; mathematics in one pair of dollars counts as one word
MATH = re.compile(r"\$\$.*?\$\$|\$[^$\n]+\$", re.S)
SENTENCE = 8  # words of a sentence that no page says twice
# an expectation is \mathbb E and a divergence \mathrm{KL}, on every page
FONT = re.compile(r"\\mathsf *\{?(?:E|KL)\b|\\operatorname\{(?:E|KL)\}|\\mathrm\{E\}"
                  r"|(?<![A-Za-z{])KL\b"
                  r"|(?<!\\mathbb )(?<![A-Za-z\\{_^])E(?=\\,|\[|_[qrpuW]\b)")
OUR = "behavi col fav hon lab neighb rig vig hum flav harb endeav rum vap arm od".split()
DOUBLE = "model label level travel cancel signal total channel initial marshal fuel dial".split()
AMERICAN = ({f"{w}or": f"{w}our" for w in OUR} | {f"{w}{e}": f"{w}l{e}" for w in DOUBLE
                                                  for e in ("ed", "ing", "er")}
            | {"center": "centre", "fiber": "fibre", "liter": "litre", "theater": "theatre",
               "gray": "grey", "defense": "defence", "offense": "offence", "catalog": "catalogue",
               "fulfill": "fulfil", "skillful": "skilful", "aging": "ageing", "gotten": "got",
               "learned": "learnt", "artifact": "artefact"})
ENDING = r"(?:s|ed|ing|ful|able|ite|hood)?"
SPELLING = re.compile(rf"(?<![\w.-])(?:(?P<word>{'|'.join(AMERICAN)}){ENDING}|(?P<stem>[a-z]*[iy])z"
                      r"(?=(?:e|es|ed|er|ers|ing|ation|ations|able)\b)\w+)(?![\w:=(-])", re.I)
SAME = re.compile(r"(?:re|over|under)?si|pri|sei|capsi|bai")  # before the z, in either spelling
SOURCES = ("bstruct", "tools", "benchmarks")


def paragraphs(text: str) -> list[str]:
    "The paragraphs of a cell: not its headings, tables, lists, tags and code."
    plain = re.sub(MATH, "M", re.sub(CODE, lambda m: "\n\n" if "\n" in m[0] else "C", text))
    blocks = [b.strip() for b in re.split(r"\n\s*\n", plain)]
    return [b for b in blocks if b and not re.match(r"#|\||<|[-*] |\d+\. |- <a", b)]


def american(text: str) -> list[str]:
    "What is spelt the other way, each with the word to write."
    found = []
    for m in SPELLING.finditer(text):
        if m["word"]:
            found.append(f"{m[0]!r} is American and this book British: write "
                         f"{AMERICAN[m['word'].lower()]!r}")
        elif not SAME.fullmatch(m["stem"].lower()):
            right = m[0].replace("z", "s").lower()
            found.append(f"{m[0]!r} is American and this book British: write {right!r}")
    return found


def repeated(texts: list[str]) -> list[str]:
    "The sentences that stand on a page more than once."
    plain = re.sub(r"(?m)^[|<].*$", "\n", re.sub(CODE, lambda m: "\n\n" if "\n" in m[0] else m[0],
                                                "\n\n".join(texts)))
    found = Counter(" ".join(s.split()) for s in re.split(r"(?<=[.!?])\s+|\n\s*\n", plain))
    return [s for s, n in found.items() if n > 1 and len(s.split()) >= SENTENCE]


def messages(path: Path) -> list[str]:
    "What a Python file says to people: strings of at least four words, without their code."
    texts = [n.value for n in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
             if isinstance(n, ast.Constant) and isinstance(n.value, str)]
    return [re.sub(CODE, "", t) for t in texts
            if len(t.split()) > 3 and not re.search(r"[{<]", t)]


def misspelt(root: Path = ROOT) -> list[str]:
    "American words in docstrings and messages."
    return [f"{f.relative_to(root)}: {b}" for part in SOURCES
            for f in sorted((root / part).rglob("*.py")) if f.name != "prose.py"
            for t in messages(f) for b in american(t)]


def complaints(nb: dict) -> list[str]:
    "What is wrong with the prose of a notebook."
    cells = [c for c in nb["cells"] if c["cell_type"] == "markdown"]
    bad = [f"a sentence stands twice: \"{s[:60]} …\"; say it once"
           for s in repeated([c["source"] for c in cells])]
    for cell in cells:
        for block in paragraphs(cell["source"]):
            if (n := len(block.split())) > WORDS:
                start = " ".join(block.split()[:6])
                bad.append(f"cell {cell['id']}: a paragraph of {n} words, {WORDS} are allowed: "
                           f"split it, \"{start} …\"")
        prose = re.sub(CODE, "", cell["source"])
        bad += [f"cell {cell['id']}: {m[0]} in {formula[:40]}: write \\mathbb E for an "
                "expectation, \\mathrm{KL} for a divergence"
                for formula in re.findall(MATH, prose) for m in re.finditer(FONT, formula)]
        prose = re.sub(r"\([^)\s]*\)|<[^>]+>", "", re.sub(MATH, "", prose))
        if 'id="refs"' not in cell["source"]:  # titles stay as they were printed
            bad += [f"cell {cell['id']}: {b}" for b in american(prose)]
    return bad


def main(args: list[str]) -> None:
    from tools.export import notebooks

    files = [Path(a).resolve() for a in args] or notebooks(ROOT)
    bad = [f"{f.relative_to(ROOT)}: {b}" for f in files for b in complaints(nbtext.read(f))]
    bad += [] if args else misspelt()
    print("\n".join(bad) or f"the prose of {len(files)} notebooks keeps its limits")
    sys.exit(bool(bad))


if __name__ == "__main__":
    main(sys.argv[1:])
