"""Does `bstruct.compare` pick well? 12 laws, 10 seeds, n in 100, 300, 1000, 3000, six designs.

    python -m benchmarks.compare                       go on with what is missing, print the tables
    python -m benchmarks.compare --jobs 16 --seconds 150 --out FOLDER    as much as time permits
    python -m benchmarks.compare --shard 2/4           the third quarter of the runs alone
    python -m benchmarks.compare --designs estimators  five of scikit-learn instead of the networks
    python -m benchmarks.compare --rows 100 300 --seeds 2    the runs of few rows alone
    python -m benchmarks.compare --show                the tables of what has been measured

Every run draws n rows of a law, compares the designs by `bstruct.compare`, and asks what each
method's pick is worth: the mean log density, nats a row, that the design fitted to all n rows gives
to 20,000 fresh ones. Beside it stand the sum over all rows (the code length of prequential coding),
5-fold cross-validation once and two times, AIC, BIC, and the largest weight of stacking, all by the
same fits, so that the methods differ in how they choose and in nothing else. Cross-validation takes
the best stop of every network in hindsight; `compare` mixes the stops along the rows.

The runs come in an order in which every law and every n has had a seed before any has the next one.
A run is written to NAME.jsonl of --out as soon as it is done, and what is there is not run again. A
run takes about half a minute of CPU with networks, and a few seconds with estimators. Tables go to
summary.json.
"""
import argparse
import json
import multiprocessing
import os
import tempfile
import time
from itertools import product
from pathlib import Path

HERE = Path(__file__).parent / "results"
SIZES = (100, 300, 1000, 3000)


def plan(seeds: int, kind: str = "networks") -> list[tuple[str, int, int, str]]:
    "All runs, balanced: seeds outside, and the laws shifted against the sizes within."
    from benchmarks.compare.laws import LAWS

    names, found = list(LAWS), []
    for seed, shift in product(range(seeds), range(len(SIZES))):
        found += [(law, seed, SIZES[(i + shift) % len(SIZES)], kind)
                  for i, law in enumerate(names)]
    return found


def key(run: dict) -> tuple[str, int, int, str]:
    return run["law"], run["seed"], run["n"], run.get("designs", "networks")


def measured(folder: Path) -> list[dict]:
    "The runs that are written, each once; a line that was cut off is left out."
    found = {}
    for path in sorted(folder.glob("*.jsonl")):
        for line in path.read_text(encoding="utf-8").splitlines():
            try:
                run = json.loads(line)
                found.setdefault(key(run), run)
            except ValueError:
                continue
    return list(found.values())


def run(tasks: list[tuple[str, int, int, str]], jobs: int, seconds: float, path: Path) -> int:
    "As many of the tasks as the time permits; each is on the disk before the next is waited for."
    from benchmarks.compare.runs import work

    end, done = time.monotonic() + seconds, 0
    spawn = multiprocessing.get_context("spawn")
    with spawn.Pool(jobs) as pool, open(path, "a", encoding="utf-8") as file:
        results = pool.imap_unordered(work, tasks)
        while done < len(tasks) and time.monotonic() < end:
            try:
                found = results.next(timeout=max(0.1, end - time.monotonic()))
            except multiprocessing.TimeoutError:
                break
            file.write(json.dumps(found) + "\n")
            file.flush()
            done += 1
            told = f"{found['law']}, {found['n']} rows, seed {found['seed']}"
            print(f"{done} of {len(tasks)}: {told}", flush=True)
        pool.terminate()
    return done


def main() -> None:
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[name] = "1"
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=1e9)
    parser.add_argument("--shard", default="0/1", help="i/n: every n-th run from the i-th on")
    parser.add_argument("--designs", choices=("networks", "estimators"), default="networks")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--rows", type=int, nargs="+", choices=SIZES, default=SIZES)
    parser.add_argument("--out", type=Path, default=HERE)
    parser.add_argument("--show", action="store_true")
    parser.add_argument("--quick", action="store_true",
                        help="one run of estimators, nothing kept: does it run?")
    given = parser.parse_args()
    if given.quick:
        with tempfile.TemporaryDirectory() as folder:
            run(plan(1, "estimators")[:1], 1, 600.0, Path(folder) / "estimators.jsonl")
        return
    given.out.mkdir(parents=True, exist_ok=True)
    i, of = map(int, given.shard.split("/"))
    if not given.show:
        have = {key(r) for folder in {given.out, HERE} if folder.exists() for r in measured(folder)}
        tasks = [t for t in plan(given.seeds, given.designs)[i::of]
                 if t not in have and t[2] in given.rows]
        name = f"{given.designs}.jsonl" if of == 1 else f"{given.designs}-{i}.jsonl"
        run(tasks, given.jobs, given.seconds, given.out / name)
    from benchmarks.compare.tables import report

    report(measured(given.out), given.out)


if __name__ == "__main__":
    main()
