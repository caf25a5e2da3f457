"""Benchmarks: `python -m benchmarks` runs all of them one after the other, `python -m benchmarks
NAME ...` one.

Further arguments go to the benchmark; `python -m benchmarks NAME --help` lists them.
"""
import argparse
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent


def main(arguments: list[str] | None = None) -> int:
    "Runs what was asked for; the number of benchmarks that failed."
    given = sys.argv[1:] if arguments is None else arguments
    known = sorted(f.parent.name for f in HERE.glob("*/__main__.py"))
    parser = argparse.ArgumentParser(prog="python -m benchmarks",
                                     usage="%(prog)s [-h] [NAME] [ARGUMENTS]", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", nargs="?", choices=known, help="the benchmark; all if not given")
    own = 1 if given and (given[0] in ("-h", "--help") or not given[0].startswith("-")) else 0
    name = parser.parse_args(given[:own]).name
    failed = 0
    for each in [name] if name else known:
        print(f"== {each} ==", flush=True)
        command = [sys.executable, "-m", f"benchmarks.{each}", *given[own:]]
        failed += bool(subprocess.run(command, cwd=HERE.parent).returncode)
    return failed


if __name__ == "__main__":
    sys.exit(main())
