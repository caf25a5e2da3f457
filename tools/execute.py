"""Execute notebooks: `python -m tools.execute [--save] [--slow] [--gpu] [notebook ...]`.

Every notebook runs in a process of its own, forked from one that has imported the libraries once;
`--serve` reads the names of notebooks from the input, one a line, and answers each with one line of
JSON.

With `--save` the outputs are stored; without, they are compared with the stored ones. Cells marked
`#| test` run in pytest and not here; cells marked `#| slow` or `#| gpu` run only when asked for,
and carry the digest of the source that made their output, so that a stale one is seen without
running it.
"""
import argparse
import base64
import gc
import hashlib
import importlib
import io
import json
import os
import re
import sys
import tempfile
import traceback
import warnings
import weakref
from pathlib import Path

from tools import nb as nbtext

FLAGS = ("gpu", "slow")
# what a notebook would spend its first seconds on
PRELOADED = ("execnb.shell", "sqlite3", "bdb", "pytest", "matplotlib.pyplot", "torch._dynamo",
             "sklearn.ensemble", "bstruct.use.predicting", "bstruct.use.cli")
NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")
RTOL, ATOL = 2e-2, 1e-6  # printed numbers move in their last digits between processors
PIXELS = 2.0  # mean absolute difference of two renderings of a figure, of 255
POINTS = 2.0  # and of the coordinates of two drawings
ALT = re.compile(r"^#\s*\|\s*fig-alt:.*\n", re.M)  # says what is seen, and changes nothing


def directives(source: str) -> dict[str, str]:
    "The `#| key: value` lines at the head of a cell."
    found = {}
    for line in source.splitlines():
        if not (m := re.match(r"#\s*\|\s*([\w-]+)\s*:?\s*(.*)", line)):
            break
        found[m[1]] = m[2]
    return found


def digest(source: str) -> str:
    return hashlib.sha256(ALT.sub("", source).strip().encode()).hexdigest()[:16]


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
                raise RuntimeError(f"{path.name}, cell "
                                   f"{cell['id']}:\n{cell['source']}") from shell.exc
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
        out["data"] = {k: "".join(v) if isinstance(v, list) else v
                       for k, v in dict(out["data"]).items()}
    out["metadata"] = dict(out["metadata"]) if "metadata" in out else None
    return {k: v for k, v in out.items() if v is not None or k == "execution_count"}


def pixels(data: str):
    import numpy as np
    from PIL import Image

    return np.asarray(Image.open(io.BytesIO(base64.b64decode(data))).convert("L"), dtype=float)


def numbers(text: str) -> list[tuple[float, str]]:
    """The numbers of a text, each with what it is: a value that states its error, an error, a
    sample size, or plain."""
    def kind(m: re.Match) -> str:
        before, after = text[:m.start()], text[m.end():]
        return ("error" if before.endswith("± ") else "value" if after.startswith(" ±")
                else "size" if before.endswith("ESS ") else "plain")
    return [(float(m[0]), kind(m)) for m in NUMBER.finditer(text)]


def same_text(a: str, b: str) -> bool:
    """Equal but for the last digits of the numbers in it.

    An estimate that states its error is as good as another within three of these errors: adaptive
    sampling takes another turn where a processor rounds otherwise. Errors and effective sample
    sizes agree within a factor of two.
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


def same_drawing(a: str, b: str) -> bool:
    """Whether two SVGs show the same texts, but for last digits, and lines that lie within some
    points of each other."""
    texts = [" ".join(re.findall(r">([^<>]*[^<>\s][^<>]*)</(?:text|tspan|title)>", s))
             for s in (a, b)]
    lines = [[float(n) for path in re.findall(r"<path[^>]*? d=\"([^\"]*)\"", s)
              for n in NUMBER.findall(path)] for s in (a, b)]
    gap = sum(abs(x - y) for x, y in zip(*lines)) / max(1, *map(len, lines))
    return len(lines[0]) == len(lines[1]) and gap <= POINTS and same_text(*texts)


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
        elif kind == "image/svg+xml":
            if not same_drawing("".join(x), "".join(y)):
                return False
        else:
            texts.append(("".join(x), "".join(y)))
    return all(same_text("".join(x), "".join(y)) for x, y in texts)


def stale(old: dict, new: dict) -> list[str]:
    "The ids of the cells whose stored outputs are not those of their source."
    bad = []
    for a, b in zip(old["cells"], new["cells"], strict=True):
        if a["cell_type"] != "code":
            continue
        flagged = [f for f in FLAGS if f in directives(a["source"])
                   and "test" not in directives(a["source"])]
        if flagged and a["outputs"] and a["metadata"].get("ran") != digest(a["source"]):
            bad.append(f"{a['id']} ({', '.join(flagged)}: source changed since it ran)")
        elif len(a["outputs"]) != len(b["outputs"]) or not all(
            map(same_output, a["outputs"], b["outputs"])):
            bad.append(a["id"])
    return bad


def settle(path: Path, wanted: set[str], save: bool) -> str:
    "Execute a notebook and store its outputs, or compare them; returns what is wrong, or nothing."
    warnings.simplefilter("ignore", ResourceWarning)
    try:
        old, new = nbtext.read(path), execute(path, wanted)
        if save:
            nbtext.write(new, path)
        elif bad := stale(old, new):
            remedy = f"run `make notebooks NB={path.name}`"
            return f"{path.name}: stored outputs are out of step: {'; '.join(bad)}; {remedy}"
    except BaseException:
        return traceback.format_exc()
    return ""


def preload() -> None:
    """Import what notebooks import, on one thread: a fork keeps the modules and loses the threads.

    What is imported here lives as long as this process: no fork looks it through for what to free,
    which would copy every page of it, nor undoes at its end what a module set up here.
    """
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    for name in PRELOADED:
        importlib.import_module(name)
    gc.collect()
    gc.freeze()
    for last in list(weakref.finalize._registry):
        last.atexit = False


def forked(path: Path, wanted: set[str], save: bool = False) -> str:
    "`settle` in a forked process, so that no notebook sees what another one left behind."
    sys.stdout.flush(), sys.stderr.flush()
    with tempfile.TemporaryFile() as answer:
        if not (child := os.fork()):
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)  # the input is the parent's
            verdict = settle(path, wanted, save)
            answer.write(verdict.encode())
            answer.flush()
            leave(bool(verdict))
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        answer.seek(0)
        verdict = answer.read().decode()
    return verdict or (f"{path.name}: its process died with status {status}" if status else "")


def leave(status: int) -> None:
    """End a forked process as Python ends, with what is to run at exit, but not with the parent's
    code."""
    import atexit

    try:
        atexit._run_exitfuncs()
        sys.stdout.flush(), sys.stderr.flush()
    finally:
        os._exit(status)


def serve(wanted: set[str]) -> None:
    """Answer each line of the input, the name of a notebook, with its name and what is wrong with
    it."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a notebook's processes print is no answer
    for line in sys.stdin:
        verdict = forked(Path(line.strip()).resolve(), wanted)
        print(json.dumps({"notebook": line.strip(), "wrong": verdict}), file=answers, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("notebooks", nargs="*", type=Path)
    parser.add_argument("--save", action="store_true", help="store the outputs")
    parser.add_argument("--serve", action="store_true", help="read the notebooks from the input")
    for flag in FLAGS:
        parser.add_argument(f"--{flag}", action="store_true",
                            help=f"run the cells marked {flag}, too")
    args = parser.parse_args()
    if not args.notebooks and not args.serve:
        parser.error("no notebook named")
    wanted = {f for f in FLAGS if getattr(args, f)}
    if wanted:
        os.environ["BSTRUCT_SLOW"] = "1"  # what a notebook reads that shows stored results instead
    preload()
    if args.serve:
        return serve(wanted)
    for path in (p.resolve() for p in args.notebooks):
        if wrong := forked(path, wanted, args.save):
            sys.exit(wrong)


if __name__ == "__main__":
    main()
