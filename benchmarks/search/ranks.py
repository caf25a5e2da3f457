"""Where do the picks rank? `python -m benchmarks.search.ranks [--data digits mnist1d]`.

First run `python -m benchmarks.search`, which stores the picks.

Every structure of the graph is fitted on its own (mean-field posterior, c_reg 0.03, about 400 Adam
steps, all training rows) with several seeds; the truth is the mean of its test log-loss. The picks
that `benchmarks.search` stored are then ranked among all of them. Also printed: how well the seeds
agree with each other (what no method can beat), how far in nats each pick is from the best, and
Spearman's correlation of the truth with the order of a supernet like bstruct's (--screening: and of
the evidence of single fits on half of the rows, which takes as long as a seed of the truth).

Two seeds on digits take about four CPU minutes. Writes ranks_DATA.json and ranks_DATA.png into
results/ beside this file, or into --out; finished seeds are kept there and read again, unless
--fresh.
"""
import argparse
import json
import math
from pathlib import Path

import numpy as np
import torch
from scipy.stats import spearmanr
from threadpoolctl import threadpool_limits
from torch import Generator, Tensor

from benchmarks.search import data
from benchmarks.search.__main__ import RESULTS, plan
from benchmarks.search.contestants import PLAIN
from benchmarks.search.show import plot_ranks, print_columns
from bstruct.experiments.baselines import Structure, tensors
from bstruct.experiments.study import about, visit, write_study
from bstruct.model.graph import Graph
from bstruct.model.reach import connected
from bstruct.model.supernet import Supernet
from bstruct.objectives.task import Task
from bstruct.search.settings import Settings
from bstruct.search.stages.supernet import mean_rank, path_scores
from bstruct.training.batch import Batch, log_predictive, make_batch, one_hot
from bstruct.training.variational import Plan, Trainer

C_REG, CHUNK, SAMPLES = 0.03, 36, 8


def tasks(table: data.Table) -> tuple[Task, Task]:
    "Training and test rows as bstruct sees them: standardised, cut at 5."
    X = [np.clip(v, -5, 5) for v in data.standardised(*table.raw)]
    train, test = (Task(*tensors(x, y), "categorical") for x, y in zip(X, table.y))
    return train, test


def fitted_losses(graph: Graph, seen: Task, test: Task, structures: list[Structure], seed: int,
                  steps: int) -> Tensor:
    "-ln p in nats a row of `test` for each structure, fitted on its own to the rows `seen`."
    settings = Settings()
    size, net, losses = min(settings.batch_size, len(seen)), Supernet(graph, share=True), []
    epoch = math.ceil(len(seen) / size)
    schedule = Plan(math.ceil(steps / epoch), min(epoch, steps), size, settings.learning_rate)
    for i in range(0, len(structures), CHUNK):
        part, generator = structures[i:i + CHUNK], Generator().manual_seed(1000 * seed + i)
        batch = make_batch(net, generator, [len(seen)] * len(part), C_REG, one_hot(net, part))
        trained(batch, seen, schedule, generator)
        losses.append(-log_predictive(batch, test, slice(None), SAMPLES, generator).mean(1))
        print(f"  seed {seed}: {i + len(part)} of {len(structures)} structures", flush=True)
    return torch.cat(losses)


def trained(batch: Batch, task: Task, schedule: Plan, generator: Generator) -> Batch:
    trainer = Trainer(batch, task, schedule, generator)
    while not trainer.done:
        trainer.run_epoch()
    return batch.detach()


def halves(task: Task) -> tuple[Task, Task]:
    "The rows that a structure is fitted to in bstruct's screening, and those that judge it."
    half = len(task) // 2
    return Task(task.x[:half], task.y[:half], task.likelihood), Task(task.x[half:], task.y[half:],
                                                                     task.likelihood)


def supernet_losses(graph: Graph, task: Task, structures: list[Structure], settings: Settings,
                    seed: int = 0) -> dict[float, Tensor]:
    """c_reg to -ln p in nats of the second half of the rows, for each structure as a path through
    bstruct's supernets."""
    (seen, rest), generator = halves(task), Generator().manual_seed(seed)
    turns = [settings.c_reg * settings.tempering[i % len(settings.tempering)]
             for i in range(settings.starts)]
    batch = make_batch(Supernet(graph, share=settings.share_weights), generator,
                       [len(seen)] * len(turns), turns)
    batch = trained(batch, seen, settings.plan(len(seen)), generator)
    models = {c: [i for i, t in enumerate(turns) if t == c] for c in turns}
    return {c: -path_scores(batch, rest, structures, slice(None), which)
            for c, which in models.items()}


def picks(rows: list[dict], structures: list[Structure], truth: np.ndarray) -> dict[str, dict]:
    """Method to the ranks of its picks (1 is best), seed by seed, their median and their mean
    distance from the best."""
    rank = truth.argsort().argsort() + 1
    place = {tuple(s.values()): i for i, s in enumerate(structures)}
    found = {}
    for name in dict.fromkeys(r["method"] for r in rows if r["structure"] and r["method"] != PLAIN):
        index = [place[tuple(r["structure"][e] for e in structures[0])] for r in rows
                 if r["method"] == name]
        found[name] = {"index": index, "ranks": rank[index].tolist(),
                       "median": float(np.median(rank[index])),
                       "above_best": float(truth[index].mean() - truth.min())}
    return found


def summary(log_loss: list[list[float]], graph: Graph, structures: list[Structure]) -> dict:
    """Agreement of the seeds over the structures that use their input, and the spread between
    seeds in nats."""
    use = [i for i, s in enumerate(structures) if connected(graph, s)]
    losses = np.array(log_loss)[:, use]
    pairs = [spearmanr(a, b).statistic for i, a in enumerate(losses) for b in losses[i + 1:]]
    spread = float(losses.std(0, ddof=1).mean()) if len(losses) > 1 else None
    return {"connected": len(use), "spearman_of_seeds": float(np.mean(pairs)) if pairs else None,
            "seed_spread": spread}


def report(result: dict) -> None:
    "Prints what was found."
    n, s = len(result["structures"]), result["agreement"]
    best = min(range(n), key=lambda i: result["truth"][i])
    known = lambda v: "unknown (one seed)" if v is None else f"{v:.3f}"
    print(f"\n{result['data']}: {n} structures, {s['connected']} of them use the input; "
          f"best {result['truth'][best]:.3f} nats, {result['structures'][best]}")
    print(f"between seeds: Spearman {known(s['spearman_of_seeds'])}, spread "
          f"{known(s['seed_spread'])} nats")
    print("Spearman with the truth: "
          + ", ".join(f"{k} {v:.3f}" for k, v in result["spearman"].items()))
    rows = [[name, " ".join(map(str, p["ranks"])), f"{p['median']:g}", f"{p['above_best']:.4f}"]
            for name, p in result["picks"].items()]
    rows.append(["(one at random)", "", f"{(n + 1) / 2:g}",
                 f"{np.mean(result['truth']) - min(result['truth']):.4f}"])
    rows.append(["(best of 10 by the truth)", "", f"mean {(n + 1) / 11:.1f}", ""])
    print_columns(["", f"ranks among {n}, a seed each", "median", "nats above the best"], rows)


def run(name: str, asked: argparse.Namespace, out: Path | None) -> dict:
    "Truth, then orders and picks of one table."
    table, graph, _, settings = plan(data.load(name), asked.quick)
    structures, (train, test) = list(graph.structures()), tasks(table)
    steps = 4 if asked.quick else asked.steps
    path = out and out / f"ranks_{name}.json"
    result = {"data": name, "quick": asked.quick, "steps": steps, "c_reg": C_REG,
              "structures": structures, "log_loss": []}
    if path and path.exists() and not asked.fresh:
        old = json.loads(path.read_text())
        result["log_loss"] = old["log_loss"] if all(old[k] == v for k, v in result.items()
                                                    if k != "log_loss") else []

    journal = path and path.with_suffix(".journal")
    if journal and asked.fresh:
        journal.unlink(missing_ok=True)
    done = [{"seed": seed, "log_loss": losses} for seed, losses in enumerate(result["log_loss"])]
    work = lambda cell: [{"log_loss": fitted_losses(graph, train, test, structures, cell["seed"],
                                                    steps).tolist()}]
    fits = visit([{"seed": s} for s in range(asked.seeds)], work, journal=journal, done=done,
                 plan={k: v for k, v in result.items() if k != "log_loss"})
    result["log_loss"] = [r["log_loss"] for r in fits]
    result["truth"] = np.mean(result["log_loss"], 0).tolist()
    result["agreement"] = summary(result["log_loss"], graph, structures)
    supernets = supernet_losses(graph, train, structures, Settings(**settings))
    cheap = {f"supernet, c_reg {c:g}": v for c, v in supernets.items()}
    each = -torch.stack([*supernets.values()])
    cheap |= {"supernets, best score": -each.amax(0), "supernets, mean rank": mean_rank(each)}
    if asked.screening:
        cheap["screening evidence"] = fitted_losses(graph, *halves(train), structures, 0, steps)
    result["spearman"] = {k: float(spearmanr(result["truth"], v.numpy()).statistic)
                          for k, v in cheap.items()}
    stored = asked.picks / f"{name}.json"
    rows = json.loads(stored.read_text())["rows"] if stored.exists() else []
    result["picks"] = picks(rows, structures, np.array(result["truth"]))
    report(result)
    if not rows:
        print(f"no picks: {stored.name} is not in {asked.picks}; run `python -m benchmarks.search "
              f"--data {name}` first")
    if path:
        write_study(path, [], about(), journal=journal, **result)
        plot_ranks(result, path.with_suffix(".png"))
    return result


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.search.ranks", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", nargs="+", choices=("digits", "mnist1d"), default=["digits"],
                        help="tables (digits)")
    parser.add_argument("--seeds", type=int, default=2, help="seeds of the truth (2)")
    parser.add_argument("--steps", type=int, default=400,
                        help="Adam steps of a fit, at least (400)")
    parser.add_argument("--screening", action="store_true",
                        help="also the evidence of single fits on half of the rows")
    parser.add_argument("--fresh", action="store_true", help="forget the stored fits")
    parser.add_argument("--quick", action="store_true",
                        help="tiny rows, networks and fits: does it run?")
    parser.add_argument("--picks", type=Path, default=RESULTS,
                        help="folder with the results of benchmarks.search")
    parser.add_argument("--out", type=Path, help="folder for the results")
    asked = parser.parse_args(arguments)
    if asked.seeds < 1 or asked.steps < 1:
        parser.error(f"--seeds is {asked.seeds} and --steps {asked.steps}: at least 1 is "
                     "needed of both")
    torch.set_num_threads(1)
    with threadpool_limits(1):
        for name in asked.data:
            run(name, asked, asked.out or (None if asked.quick else RESULTS))


if __name__ == "__main__":
    main()
