"""What nobody meant, counted: every test of damaged input, of kills and of real files at its full
number.

    python -m benchmarks.odd                 # all of them, a few minutes
    python -m benchmarks.odd tables runs     # some; the others keep their stored counts

Real files are those of the packages that are installed; a PYTHONPATH that holds statsmodels and
vega_datasets adds theirs. Results go to `results/odd.json`.
"""
import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as tree
from pathlib import Path

from benchmarks.store import store

HERE = Path(__file__).resolve().parent
ROOT, FILE = HERE.parent.parent, HERE / "results" / "odd.json"
KINDS = {  # what was tried: file of tests, and the tests of it
    "tables": ("test_fuzz.py", "test_tables"),
    "graph files": ("test_fuzz.py", "test_graph_files"),
    "settings": ("test_fuzz.py", "test_settings"),
    "run folders": ("test_fuzz.py", "test_run_folders"),
    "kills of a fit": ("test_crash_points.py", "test_a_fit_killed_anywhere"),
    "kills of an overwriting fit": ("test_crash_points.py", "test_an_overwriting_fit"),
    "kills of a resumed run": ("test_crash_points.py", "test_a_resumed_run"),
    "kills of a save": ("test_crash_points.py", "test_a_save"),
    "changed bytes": ("test_crash_points.py", "test_a_changed_byte"),
    "real files": ("test_real_files.py", "test_a_file_is_fitted"),
    "reports by name": ("test_cases.py", ""),
}


def tried(kind: str, quick: bool = False) -> dict[str, int | float]:
    """Inputs, and of them those that were used and those that ended as they must not; `quick`: as
    many as the suite tries."""
    file, name = KINDS[kind]
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "told.xml"
        marked = [] if kind == "reports by name" else ["-m", "not slow" if quick else "slow"]
        command = [sys.executable, "-m", "pytest", "-n", "0", "-o", "addopts=-q", "-o",
                   "junit_family=xunit1", "-p",
                   "no:cacheprovider", *marked, f"tests/{file}", "-k", name, "--junitxml", str(out)]
        paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
        subprocess.run(command, cwd=ROOT, env=os.environ | {
            "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(paths)})
        cases = [*tree.parse(out).iter("testcase")]
    ran = [c for c in cases if c.find("skipped") is None]
    bad = sum(c.find("failure") is not None or c.find("error") is not None for c in ran)
    told = {p.get("name", ""): int(p.get("value", "0")) for c in ran for p in c.iter("property")}
    points = sum(int(p.get("value", "0")) for c in ran for p in c.iter("property")
                 if p.get("name") == "inputs")
    size = [int(n) for c in ran for n in re.findall(r"\[(\d{3,})\]", c.get("name", ""))]
    used = {"used": told["used"]} if "used" in told else {}
    return {"inputs": points or sum(size) or len(ran), **used, "failures": bad}


def main(arguments: list[str] | None = None) -> int:
    "The number of kinds with a failure."
    parser = argparse.ArgumentParser(prog="python -m benchmarks.odd", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kinds", nargs="*", metavar="KIND",
                        help=f"of {', '.join(KINDS)} (or a part of the name); all if not given")
    parser.add_argument("--out", type=Path, default=FILE, help="where the counts go")
    parser.add_argument("--quick", action="store_true",
                        help="a few settings, nothing written: does it run?")
    options = parser.parse_args(arguments)
    if options.quick:
        print(f"settings: {(found := tried('settings', True))}")
        return int(bool(found["failures"]))
    wanted = [k for k in KINDS if not options.kinds or any(w in k for w in options.kinds)]
    found = json.loads(options.out.read_text()) if options.out.exists() else {}
    found.pop("about", None)
    for kind in wanted:
        found[kind] = tried(kind)
        print(f"{kind}: {found[kind]}", flush=True)
        store(options.out, found)
    return sum(bool(found[k]["failures"]) for k in wanted)


if __name__ == "__main__":
    sys.exit(main())
