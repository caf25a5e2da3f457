"""What the library does on a GPU: `python -m benchmarks.gpu --seconds 480`.

Without a GPU, `--quick` tries the pack on the processor. Sections, in the order of their worth:
machine, rate (structures a minute by tile), agreement (processor and device), cpu (the same rate on
the processor), enumeration (4096 structures), modes, precision, hypergradient, memory, compiled.
Each has a share of the seconds; what it leaves goes to those behind it. A section that fails or is
cut keeps what it had noted, and the others go on. Results are written after every row, into --out
or results/DEVICE.json beside this file. `--plot FILE.json ...` draws FILE.svg and FILE.png and
measures nothing.

Needs Python 3.11, torch >= 2.9, numpy, scipy, scikit-learn, pandas, matplotlib, joblib,
cloudpickle, jaxtyping, filelock, safetensors, tqdm, and fastcore < 2 with packaging. Images for
torch rarely hold
fastcore: bring its wheel. No network is used.
"""
import argparse
import re
import sys
import warnings
from pathlib import Path

RESULTS = Path(__file__).parent / "results"


def sections():
    "Name to section; imported late, so that --help and --plot need no torch."
    from benchmarks.gpu import agreement, hyper, rate, searches
    from benchmarks.gpu.pack import Section, machine

    return {"machine": Section(1, lambda pack: pack.note(**machine(pack.device))),
            "rate": Section(80, rate.rate), "agreement": Section(45, agreement.agreement),
            "cpu": Section(45, rate.cpu), "enumeration": Section(110, searches.enumeration),
            "modes": Section(120, searches.modes), "precision": Section(30, agreement.precision),
            "hypergradient": Section(35, hyper.hypergradients), "memory": Section(14, rate.memory),
            "compiled": Section(60, rate.compiled)}


def parsed(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=480.0, help="of the whole run (480)")
    parser.add_argument("--device", help="cuda, cuda:1 or cpu (cuda; with --quick what is there)")
    parser.add_argument("--out", type=Path, help="file of the results; none with --quick alone")
    parser.add_argument("--sections", help="names with commas between them (all)")
    parser.add_argument("--quick", action="store_true", help="tiny sizes: does it run?")
    keeps = "keep what --out holds of other sections"
    parser.add_argument("--keep", action="store_true", help=keeps)
    parser.add_argument("--plot", type=Path, nargs="+", metavar="FILE", help="draw these files")
    asked = parser.parse_args(arguments)
    if asked.seconds <= 0:
        parser.error(f"--seconds is {asked.seconds}: a positive number is needed, 480 say")
    known = list(sections()) if asked.sections else []
    asked.names = asked.sections.split(",") if asked.sections else None
    if wrong := [n for n in asked.names or [] if n not in known]:
        parser.error(f"--sections names {wrong[0]!r}: there are {', '.join(known)}")
    return asked


def measure(asked: argparse.Namespace, command: str) -> dict:
    "Run the sections that were asked for; what the file holds at the end."
    import json
    import time

    import torch

    from benchmarks.gpu.pack import Pack, again, header, run_all

    begin, device, every = time.monotonic(), torch.device(asked.device), sections()
    chosen = {n: s for n, s in every.items() if asked.names is None or n in asked.names}
    found = header(device, command, asked.quick, asked.seconds)
    slug = re.sub(r"[^a-z0-9]+", "-", found["device"].lower()).strip("-")
    out = asked.out or (None if asked.quick else RESULTS / f"{slug}.json")
    if asked.keep and out and out.exists():
        found["sections"] = json.loads(out.read_text())["sections"]
    pack = Pack(device, asked.quick, out, found)
    rest = run_all(pack, chosen, asked.seconds)
    left = asked.seconds - (time.monotonic() - begin)
    if rest and out and left > 10:
        again(["--seconds", str(left), "--device", asked.device, "--out", str(out), "--sections",
               ",".join(rest), "--keep", *["--quick"] * asked.quick])
    return found


def main(arguments: list[str] | None = None) -> int:
    asked = parsed(arguments)
    if asked.plot:
        from benchmarks.gpu.plots import draw

        for file in asked.plot:
            print("written:", ", ".join(p.name for p in draw(file)))
        return 0
    import torch

    there = "cuda" if torch.cuda.is_available() or not asked.quick else "cpu"
    asked.device = asked.device or there
    if asked.device.startswith("cuda") and not torch.cuda.is_available():
        print("no CUDA device is here, so nothing was measured; --quick tries the "
              "pack")
        return 0
    given = sys.argv[1:] if arguments is None else arguments
    told = (Path(a).name if "/" in a else a for a in given)  # no path of a machine
    command = " ".join(["python -m benchmarks.gpu", *told])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = measure(asked, command)
    for name, section in found["sections"].items():
        print(f"{name:14} {section['status']:8} {section.get('seconds', 0):6.1f} s  "
              f"{section.get('error', '')}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
