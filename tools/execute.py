"""Execute notebooks: `python -m tools.execute [--save] [--slow] [--gpu] [notebook ...]`.

With `--save` the outputs are stored; without, they are compared with the stored ones. Cells marked `#| test` run in
pytest and not here; cells marked `#| slow` or `#| gpu` run only when asked for, and carry the digest of the source
that made their output, so that a stale one is seen without running it.
"""
import argparse
import base64
import hashlib
import io
import os
import re
import sys
import warnings
from pathlib import Path

from tools import nb as nbtext

FLAGS = ("gpu", "slow")
NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")
RTOL, ATOL = 2e-2, 1e-6  # printed numbers move in their last digits between processors
PIXELS = 2.0  # mean absolute difference of two renderings of a figure, of 255


def directives(source: str) -> dict[str, str]:
    "The `#| key: value` lines at the head of a cell."
    found = {}
    for line in source.splitlines():
        if not (m := re.match(r"#\s*\|\s*([\w-]+)\s*:?\s*(.*)", line)):
            break
        found[m[1]] = m[2]
    return found


def digest(source: str) -> str:
    return hashlib.sha256(source.strip().encode()).hexdigest()[:16]


def runs(cell: dict, wanted: set[str]) -> bool:
    "Whether a cell is executed here."
    keys = directives(cell["source"])
    if cell["cell_type"] != "code" or "test" in keys or keys.get("eval") == "false":
        return False
    if "nbdev_export(" in cell["source"]:
        return False
    return all(f in wanted for f in FLAGS if f in keys)


def execute(path: Path, wanted: set[str]) -> dict:
    "The notebook with fresh outputs; raises at the first cell that fails."
    from execnb.shell import CaptureShell

    nb = nbtext.read(path)
    shell = CaptureShell(str(path), mpl_format="png")
    here = os.getcwd()
    os.chdir(path.parent)
    try:
        for cell in nb["cells"]:
            if not runs(cell, wanted):
                continue
            outputs = shell.run(cell["source"])
            if shell.exc:
                raise RuntimeError(f"{path.name}, cell {cell['id']}:\n{cell['source']}") from shell.exc
            cell["outputs"] = [clean(o) for o in outputs]
            flagged = any(f in directives(cell["source"]) for f in FLAGS)
            cell["metadata"] = {"ran": digest(cell["source"])} if flagged else {}
    finally:
        os.chdir(here)
    return nb


def clean(output) -> dict:
    "A plain output: no execution count, text as one string."
    out = {k: v for k, v in dict(output).items() if k != "execution_count"}
    if out["output_type"] == "execute_result":
        out["execution_count"] = None
    if "text" in out:
        out["text"] = "".join(out["text"])
    if "data" in out:
        out["data"] = {k: "".join(v) if isinstance(v, list) else v for k, v in dict(out["data"]).items()}
    out["metadata"] = dict(out["metadata"]) if "metadata" in out else None
    return {k: v for k, v in out.items() if v is not None or k == "execution_count"}


def pixels(data: str):
    import numpy as np
    from PIL import Image

    return np.asarray(Image.open(io.BytesIO(base64.b64decode(data))).convert("L"), dtype=float)


def numbers(text: str) -> list[tuple[float, str]]:
    "The numbers of a text, each with what it is: a value that states its error, an error, a sample size, or plain."
    def kind(m: re.Match) -> str:
        before, after = text[:m.start()], text[m.end():]
        return ("error" if before.endswith("± ") else "value" if after.startswith(" ±")
                else "size" if before.endswith("ESS ") else "plain")
    return [(float(m[0]), kind(m)) for m in NUMBER.finditer(text)]


def same_text(a: str, b: str) -> bool:
    """Equal but for the last digits of the numbers in it.

    An estimate that states its error is as good as another within three of these errors: adaptive sampling takes
    another turn where a processor rounds otherwise. Errors and effective sample sizes agree within a factor of two.
    """
    if NUMBER.sub("#", a) != NUMBER.sub("#", b):
        return False
    first, second = numbers(a), numbers(b)
    for i, ((x, kind), (y, _)) in enumerate(zip(first, second, strict=True)):
        gap, scale = abs(x - y), max(abs(x), abs(y))
        room = {"plain": RTOL * scale, "error": scale / 2, "size": scale / 2}
        if kind == "value":
            room["value"] = max(RTOL * scale, 3 * max(first[i + 1][0], second[i + 1][0]))
        if gap > ATOL + room[kind]:
            return False
    return True


def same_output(a: dict, b: dict) -> bool:
    if a["output_type"] != b["output_type"] or set(a.get("data", {})) != set(b.get("data", {})):
        return False
    texts = [(a.get("text", ""), b.get("text", ""))]
    for kind in a.get("data", {}):
        x, y = a["data"][kind], b["data"][kind]
        if kind == "image/png":
            p, q = pixels(x), pixels(y)
            if p.shape != q.shape or abs(p - q).mean() > PIXELS:
                return False
        elif kind != "image/svg+xml":
            texts.append(("".join(x), "".join(y)))
    return all(same_text("".join(x), "".join(y)) for x, y in texts)


def stale(old: dict, new: dict) -> list[str]:
    "The ids of the cells whose stored outputs are not those of their source."
    bad = []
    for a, b in zip(old["cells"], new["cells"], strict=True):
        if a["cell_type"] != "code":
            continue
        flagged = [f for f in FLAGS if f in directives(a["source"]) and "test" not in directives(a["source"])]
        if flagged and a["outputs"] and a["metadata"].get("ran") != digest(a["source"]):
            bad.append(f"{a['id']} ({', '.join(flagged)}: source changed since it ran)")
        elif len(a["outputs"]) != len(b["outputs"]) or not all(map(same_output, a["outputs"], b["outputs"])):
            bad.append(a["id"])
    return bad


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("notebooks", nargs="+", type=Path)
    parser.add_argument("--save", action="store_true", help="store the outputs")
    for flag in FLAGS:
        parser.add_argument(f"--{flag}", action="store_true", help=f"run the cells marked {flag}, too")
    args = parser.parse_args()
    warnings.simplefilter("ignore", ResourceWarning)
    wanted = {f for f in FLAGS if getattr(args, f)}
    for path in (p.resolve() for p in args.notebooks):
        old, new = nbtext.read(path), execute(path, wanted)
        if args.save:
            nbtext.write(new, path)
        elif bad := stale(old, new):
            remedy = f"run `make notebooks NB={path.name}`"
            sys.exit(f"{path.name}: stored outputs are out of step: {'; '.join(bad)}; {remedy}")


if __name__ == "__main__":
    main()
