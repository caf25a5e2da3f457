"""Error, time and memory of the hypergradient methods, and of their peers: `python -m
benchmarks.hypergradient`.

Makes its own environment in .bench/hypergradient (peers pin what they like there), runs in it, and
writes JSON and plots to benchmarks/hypergradient/results. Times are process-CPU seconds,
interleaved in one process, one thread; a ratio is the median over rounds of the ratio to a plain
autograd unroll in the same round, with its quartiles.
"""
import argparse
import json
import os
import subprocess
import sys
import venv
import warnings
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
RESULTS = Path(__file__).parent / "results"
ENVIRONMENT = ROOT / ".bench" / "hypergradient"
TABLES = ["greedy", "implicit", "systems", "methods", "drmad", "reversible", "wide", "memory",
          "plots"]
PEERS = ["torchopt", "higher", "jax", "hippotrainer", "gradhpo", "betty-ml"]
ALONE = ["boat-torch", "hypergrad"]  # ask for torchvision and an old numpy, and import neither


def environment() -> Path:
    """The python of the benchmark's environment, made on first use; a peer that does not install
    is named and left out."""
    python, ready = ENVIRONMENT / "bin" / "python", ENVIRONMENT / ".ready"
    if not ready.exists():
        import torch

        venv.create(ENVIRONMENT, with_pip=True)
        pip = [str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check"]
        pip.append(f"torch=={torch.__version__.split('+')[0]}")
        subprocess.run([*pip, "numpy", "scikit-learn", "matplotlib", "jaxtyping", "rich"],
                       check=True)
        for peer in PEERS + ALONE:
            if subprocess.run([*pip, peer, *(["--no-deps"] if peer in ALONE else [])]).returncode:
                print(f"{peer} does not install here")
        ready.touch()
    return python


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.hypergradient", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7, help="interleaved repetitions (7)")
    parser.add_argument("--longest", type=int, default=10000,
                        help="steps of the longest memory run (10000)")
    parser.add_argument("--only", choices=TABLES, action="append", help="these tables only")
    parser.add_argument("--memory-of", action="append",
                        help="these rows of the memory table only, the others kept")
    parser.add_argument("--no-peers", action="store_true",
                        help="our methods and plain autograd only, where we are")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if not args.no_peers and not args.inside:
        env = os.environ | {"OMP_NUM_THREADS": "1", "TORCHINDUCTOR_COMPILE_THREADS": "1",
                            "PYTHONPATH": str(ROOT)}
        command = [str(environment()), "-m", "benchmarks.hypergradient", "--inside", *sys.argv[1:]]
        sys.exit(subprocess.run(command, cwd=ROOT, env=env).returncode)
    run(args)


def run(args) -> None:
    import torch

    from benchmarks.hypergradient import peers, peers_local, plots, tables

    torch.set_num_threads(1)
    warnings.simplefilter("ignore", FutureWarning)  # of peers that call functorch by its old name
    path = RESULTS / "results.json"
    found = json.loads(path.read_text()) if path.exists() else {}
    wanted = args.only or TABLES
    pick = lambda calls: ({}, {}) if args.no_peers else peers.available(calls)
    training, one_step, systems = (
        pick(c) for c in (peers.CALLS, peers_local.ONE_STEP, peers_local.SYSTEMS))
    etas = [e for e in (10, 30, 100, 300, 1000, 3000, 10000) if e <= args.longest]
    memory = lambda: {**found.get("memory", {}),
                      **tables.memory_table(etas, training[0], args.memory_of)}
    todo = {"greedy": (lambda: tables.greedy_table(args.rounds, one_step[0]), one_step[1]),
            "implicit": (lambda: tables.implicit_table(args.rounds), {}),
            "systems": (lambda: tables.systems_table(args.rounds, systems[0]), systems[1]),
            "reversible": (tables.reversible_table, {}), "drmad": (tables.drmad_table, {}),
            "memory": (memory, {}),
            "wide": (lambda: tables.wide_table(args.rounds, training[0]), {}),
            "methods": (lambda: tables.methods_table(args.rounds, training[0]), training[1])}
    RESULTS.mkdir(exist_ok=True)
    for name, (make, absent) in todo.items():
        if name in wanted:
            found[name] = make()
            if absent:
                found[name]["broken"] |= absent
            found["about"] = {"torch": torch.__version__, "threads": 1, "peers": peers.versions()}
            path.write_text(json.dumps(found, indent=1) + "\n")
            plots.show(name, found[name])
    if "plots" in wanted:
        plots.draw(found, RESULTS)


if __name__ == "__main__":
    main()
