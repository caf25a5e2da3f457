"""Can everybody read the figures? `python -m tools.figures [notebook ...]` names each stored figure
without a caption or an alternative text, in pixels where lines would do, with small letters, or
with numbers along an axis that has no name.

A figure of a slow cell may be in pixels: it was drawn when the cell was last computed.
"""
import re
import sys
from pathlib import Path
from xml.etree import ElementTree

from tools import nb as nbtext
from tools.execute import FLAGS, directives

ROOT = Path(__file__).resolve().parent.parent
PAGE = 600  # points: the width of the column of text
LETTERS = 8  # points, at the width of the page
LARGEST = 250  # KB of an SVG
WORDS = 8  # of an alternative text
SPACE = "{http://www.w3.org/2000/svg}"
AXIS = re.compile(r"matplotlib\.axis_(\d+)")
NUMBER = re.compile(r"[-−+]?\d[\d.,×−]*")
SIZE = re.compile(r"font(?:-size)?(?::|=\")\s*(?:[a-z]+ )*([\d.]+)(?:px)?")


def width(svg: str) -> float:
    "The width of an SVG in points; without a width of its own it is as wide as the page."
    found = re.search(r"<svg[^>]*? width=\"([\d.]+)(pt|px|)\"", svg)
    return float(found[1]) * (1 if found[2] == "pt" else 0.75) if found else PAGE


def letters(svg: str) -> list[float]:
    "The sizes of the letters of an SVG in points, where it is no wider than the page."
    box = re.search(r"viewBox=\"[\d.-]+ [\d.-]+ ([\d.]+)", svg)
    scale = min(width(svg), PAGE) / float(box[1]) if box else 1.0
    inherited = [float(s) for s in SIZE.findall(svg.partition(">")[0])][-1:]
    texts = re.findall(r"<text[^>]*>.*?</text>", svg, re.S)
    return [scale * max(map(float, found)) for t in texts
            if (found := SIZE.findall(t) or inherited)]


def unnamed(svg: str) -> list[str]:
    "The directions, of x and y, in which axes have numbers and no axis of the figure has a name."
    found: dict[str, list[bool]] = {"x": [], "y": []}
    for group in ElementTree.fromstring(svg).iter(f"{SPACE}g"):
        if not (axis := AXIS.fullmatch(group.get("id", ""))):
            continue
        own = {part: ["".join(t.itertext()) for g in group if g.get("id", "").startswith(part)
                      for t in g.iter(f"{SPACE}text")] for part in ("text_", "xtick_", "ytick_")}
        ticks = own["xtick_"] + own["ytick_"]
        if ticks and all(NUMBER.fullmatch("".join(t.split())) for t in ticks):
            found["xy"[int(axis[1]) % 2 == 0]].append(bool(own["text_"]))
    return [name for name, named in found.items() if named and not any(named)]


def drawn(svg: str) -> list[str]:
    "What is wrong with an SVG."
    bad = []
    if (w := width(svg)) > PAGE:
        bad.append(f"is {w:.0f} points wide, {PAGE} are allowed: make it narrower")
    if (sizes := letters(svg)) and min(sizes) < LETTERS - 0.01:
        bad.append(f"has letters of {min(sizes):.1f} points, {LETTERS} are needed: draw it in the "
                   "style of `bstruct.core.style`")
    bad += [f"has no name along {axis}: name the quantity and its unit" for axis in unnamed(svg)]
    if (kb := len(svg) / 1024) > LARGEST:
        bad.append(f"is an SVG of {kb:.0f} KB, {LARGEST} are allowed: draw its densest artist with "
                   "`rasterized=True`")
    return bad


def described(keys: dict[str, str]) -> list[str]:
    "What a figure lacks in words."
    bad = [f"has no `#| {k}: ...`" for k in ("label", "fig-cap", "fig-alt")
           if not keys.get(k, "").strip(" \"'")]
    alt = keys.get("fig-alt", "").strip(" \"'")
    if alt and (len(alt.split()) < WORDS or alt == keys.get("fig-cap", "").strip(" \"'")):
        bad.append(f"has an alternative text that does not say what is seen; {WORDS} words at "
                   "least")
    return bad


def complaints(nb: dict) -> list[str]:
    "What is wrong with the figures of a notebook."
    bad = []
    for cell in nb["cells"]:
        if cell["cell_type"] != "code":
            continue
        keys = directives(cell["source"])
        data = [o.get("data", {}) for o in cell["outputs"]]
        images = {k: "".join(v) for d in data for k, v in d.items() if k.startswith("image/")}
        if not images or "hide" in keys:
            continue
        found = described(keys)
        if "image/svg+xml" in images:
            found += [b for d in data if "image/svg+xml" in d
                      for b in drawn("".join(d["image/svg+xml"]))]
        elif not keys.keys() & set(FLAGS):
            found.append("is in pixels: call `use_style()` of `bstruct.core.style` above it")
        bad += [f"cell {cell['id']}: its figure {b}" for b in found]
    return bad


def main(args: list[str]) -> None:
    from tools.export import notebooks

    files = [Path(a).resolve() for a in args] or notebooks(ROOT)
    bad = [f"{f.relative_to(ROOT)}: {b}" for f in files for b in complaints(nbtext.read(f))]
    print("\n".join(bad) or f"the figures of {len(files)} notebooks can be read")
    sys.exit(bool(bad))


if __name__ == "__main__":
    main(sys.argv[1:])
