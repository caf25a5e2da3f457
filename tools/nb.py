"""A notebook as plain text and back, for writing in an editor and for reading a diff.

    python -m tools.nb text nbs/x.ipynb > x.txt      cells under `%% md`, `%% code` and `%% raw`
    lines python -m tools.nb build x.txt nbs/x.ipynb       keeps the ids of kept cells, and the
    outputs of unchanged ones
"""
import difflib
import hashlib
import json
import os
import re
import sys
from pathlib import Path

KINDS = {"md": "markdown", "code": "code", "raw": "raw"}
NAMES = {v: k for k, v in KINDS.items()}
METADATA = {
    "kernelspec": {"display_name": "python3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


def read(path: Path) -> dict:
    "The notebook with every source as one string."
    nb = json.loads(Path(path).read_text(encoding="utf-8"))
    for cell in nb["cells"]:
        cell["source"] = "".join(cell["source"])
    return nb


def write(nb: dict, path: Path) -> None:
    """Write in Jupyter's own layout, atomically: sources split into lines, keys sorted, one space
    of indent."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    cells = [{**c, "source": c["source"].splitlines(True)} for c in nb["cells"]]
    text = json.dumps({**nb, "cells": cells}, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    part = path.with_suffix(".part")
    part.write_text(text, encoding="utf-8")
    os.replace(part, path)


def to_text(nb: dict) -> str:
    return "\n\n".join(f"%% {NAMES[c['cell_type']]}\n{c['source'].strip(chr(10))}"
                       for c in nb["cells"]) + "\n"


def parse(text: str) -> list[tuple[str, str]]:
    "The (kind, source) pairs of a text."
    parts = re.split(r"^%% (md|code|raw)[ \t]*$\n?", text, flags=re.M)
    if parts[0].strip():
        raise SystemExit(f"text before the first `%%` line: {parts[0].strip()[:60]!r}; start "
                         "with `%% md`")
    return [(KINDS[k], s.strip("\n")) for k, s in zip(parts[1::2], parts[2::2], strict=True)]


def new_cell(kind: str, source: str, id: str) -> dict:
    cell = {"cell_type": kind, "id": id, "metadata": {}, "source": source}
    return cell | {"execution_count": None, "outputs": []} if kind == "code" else cell


def build(text: str, old: dict | None, name: str) -> dict:
    "The notebook of `text`; what it shares with `old` keeps its id and outputs."
    new, cells, used = parse(text), [], set()
    before = [(c["cell_type"], c["source"].strip("\n")) for c in old["cells"]] if old else []
    match = {}
    for tag, i1, i2, j1, j2 in difflib.SequenceMatcher(
        None, before, new, autojunk=False).get_opcodes():
        if tag == "equal" or (tag == "replace" and i2 - i1 == j2 - j1):
            match.update(zip(range(j1, j2), range(i1, i2), strict=True))
    for j, (kind, source) in enumerate(new):
        prior = old["cells"][match[j]] if j in match else None
        if prior and prior["cell_type"] == kind:
            cell = {**prior, "source": source}
            if before[match[j]] != new[j] and kind == "code":
                cell |= {"outputs": [], "metadata": {}}
        else:
            cell = new_cell(kind, source, hashlib.sha256(
                f"{name}\0{source}\0{j}".encode()).hexdigest()[:8])
        while cell["id"] in used:
            cell["id"] = hashlib.sha256(cell["id"].encode()).hexdigest()[:8]
        used.add(cell["id"])
        cells.append(cell)
    return {"cells": cells, "metadata": METADATA, "nbformat": 4, "nbformat_minor": 5}


def main(args: list[str]) -> None:
    if len(args) == 2 and args[0] == "text":
        sys.stdout.write(to_text(read(args[1])))
    elif len(args) == 3 and args[0] == "build":
        dest = Path(args[2])
        write(build(Path(args[1]).read_text(encoding="utf-8"), read(dest) if dest.exists()
                    else None, dest.stem), dest)
    else:
        raise SystemExit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
