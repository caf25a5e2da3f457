"""Is the prose easy to read? `python -m tools.prose [notebook ...]` names paragraphs that are too
long, and words in the other spelling."""
import re
import sys
from pathlib import Path

from tools import nb as nbtext
from tools.reading import CODE

ROOT = Path(__file__).resolve().parent.parent
WORDS = 100  # of a paragraph; mathematics in one pair of dollars counts as one word
MATH = re.compile(r"\$\$.*?\$\$|\$[^$\n]+\$", re.S)
AMERICAN = {"color": "colour", "behavior": "behaviour", "neighbor": "neighbour", "center": "centre",
            "analyze": "analyse", "optimize": "optimise", "maximize": "maximise",
            "minimize": "minimise", "regularize": "regularise", "normalize": "normalise",
            "parameterize": "parameterise", "favor": "favour", "modeling": "modelling"}
SPELLING = re.compile(rf"\b({'|'.join(AMERICAN)})(?:s|d|ed|ing|r|rs|ation)?\b", re.I)


def paragraphs(text: str) -> list[str]:
    "The paragraphs of a cell: not its headings, tables, lists, tags and code."
    plain = re.sub(MATH, "M", re.sub(CODE, lambda m: "\n\n" if "\n" in m[0] else "C", text))
    blocks = [b.strip() for b in re.split(r"\n\s*\n", plain)]
    return [b for b in blocks if b and not re.match(r"#|\||<|[-*] |\d+\. |- <a", b)]


def complaints(nb: dict) -> list[str]:
    "What is wrong with the prose of a notebook."
    bad = []
    for cell in nb["cells"]:
        if cell["cell_type"] != "markdown":
            continue
        for block in paragraphs(cell["source"]):
            if (n := len(block.split())) > WORDS:
                start = " ".join(block.split()[:6])
                bad.append(f"cell {cell['id']}: a paragraph of {n} words, {WORDS} are allowed: "
                           f"split it, \"{start} …\"")
        prose = re.sub(CODE, "", cell["source"])
        prose = re.sub(r"\([^)\s]*\)|<[^>]+>", "", re.sub(MATH, "", prose))
        bad += [f"cell {cell['id']}: {m[0]!r} is American and this book British: write "
                f"{AMERICAN[m[1].lower()]!r}" for m in SPELLING.finditer(prose)]
    return bad


def main(args: list[str]) -> None:
    from tools.export import notebooks

    files = [Path(a).resolve() for a in args] or notebooks(ROOT)
    bad = [f"{f.relative_to(ROOT)}: {b}" for f in files for b in complaints(nbtext.read(f))]
    print("\n".join(bad) or f"the prose of {len(files)} notebooks keeps its limits")
    sys.exit(bool(bad))


if __name__ == "__main__":
    main(sys.argv[1:])
