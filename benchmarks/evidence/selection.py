"""Which estimate of the evidence finds the structures that predict well? `python -m
benchmarks.evidence.selection`.

mnist1d, the graph of `benchmarks.search` (216 structures). For each seed, in one process and
thread: groups of estimators, each after a default MLPClassifier fit, by whose process time theirs
is divided. Of every estimator: Spearman's correlation with the truth, the true rank of its pick,
the best true rank among its first five and twenty. The truth is `truth_mnist1d.json` (test log-loss
of every structure, mean over its seeds, 40 epochs on all rows; `python -m
benchmarks.evidence.truth` makes it); no estimator starts from its weights. The ceiling is each seed
of the truth against the mean of the others. Estimators that can share a fit do; each is charged for
the part that it needs.

A seed takes about six CPU minutes. Writes selection.json and .png into results/ beside this file,
or into --out; groups that it holds, or that the journal of a stopped run holds, are not repeated,
unless --fresh.
"""
import argparse
import json
import time
import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import mean

import numpy as np
import torch
from matplotlib.figure import Figure
from scipy.stats import spearmanr
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier
from threadpoolctl import threadpool_limits
from torch import Generator, Tensor

from benchmarks.evidence import curvature, fits
from benchmarks.evidence.mean_field import bounds
from benchmarks.evidence.truth import PATH as TRUTH
from benchmarks.evidence.truth import PLAN
from benchmarks.search import data
from benchmarks.search.enumeration import QUICK, against, task_of
from bstruct.core.checkpoint import Checkpoint
from bstruct.core.isolated import TILE
from bstruct.evidence.prequential import block_predictions, mixture_over_stops
from bstruct.experiments.study import about, read_study, summarise, timed, visit, write_study
from bstruct.model.graph import Graph
from bstruct.model.presets import dense
from bstruct.model.reach import network_of
from bstruct.model.supernet import Supernet
from bstruct.objectives.task import Task
from bstruct.search.modes.kept import visiting_order
from bstruct.search.session import Session
from bstruct.search.settings import Settings
from bstruct.training.batch import Batch, make_batch, one_hot, prior_log_precision, weight_kl
from bstruct.training.fits import prequential_evidence
from bstruct.training.variational import Trainer

RESULTS = Path(__file__).parent / "results"
SETTINGS = Settings(mode="enumerate")
RATE, SIZE = 3e-3, 64  # of Adam where little time is given; rows of a step
FAR = 1000  # added to the seeds of starts, so that no estimator has the truth's own


@dataclass(frozen=True)
class Effort:
    "How long everything is fitted; the defaults are the benchmark, `--quick` is a sketch of it."

    short: tuple[int, ...] = (5, 10)  # epochs of the plain fits
    share: float = 0.8  # of the rows that they see
    bounds: tuple[int, ...] = (250, 500, 1000, 2000, 4000)
    stops: tuple[int, ...] = tuple(range(2, 41, 2))
    fixed: tuple[int, ...] = (20, 60)
    late_bounds: tuple[int, ...] = (3200, 4000)
    late_stops: tuple[int, ...] = (12, 16)  # one prediction after each epoch up to here
    long: int = 40  # epochs before a Gaussian is put at the optimum
    settings: Settings = SETTINGS


SKETCH = Effort((1, 2), 0.75, (16, 32, 64), (1, 2), (2, 3), (48, 64), (1, 2), 2,
                replace(SETTINGS, **QUICK))


@dataclass(frozen=True)
class Problem:
    "What every estimator is given."

    graph: Graph
    structures: list[dict]
    task: Task
    seed: int
    effort: Effort


@dataclass(frozen=True)
class Found:
    """The scores of all structures, larger is better, CPU seconds, and the score's parts where it
    has some."""

    score: Tensor
    seconds: float
    parts: dict[str, Tensor] | None = None


class Stopwatch:
    """`log_p` of one family of structures for `block_predictions`, and how long it trains and
    predicts by stop."""

    def __init__(self, first: str, task: Task, stops: int):
        self.first, self.task, self.calls = first, task, 0
        self.training, self.predicting, self.last = np.zeros(stops), np.zeros(
            stops), time.process_time()

    def __call__(self, weights: dict[str, Tensor], rows: Tensor) -> Tensor:
        run = lambda r: fits.log_p(list(weights.values()), self.first, self.task.x[r],
                                   self.task.y[r])
        if torch.is_grad_enabled():
            return run(rows)
        stop, self.calls = self.calls % len(self.training), self.calls + 1
        self.training[stop] += time.process_time() - self.last
        found, seconds = timed(lambda: torch.cat([run(r) for r in rows.split(250)], 1))
        self.predicting[stop] += seconds
        self.last = time.process_time()
        return found


def fitted_blocks(p: Problem, bounds, stops) -> tuple[Tensor, np.ndarray, np.ndarray]:
    """ln p of the later rows [S, T, 1, n] in nats; seconds of training up to each stop, and of
    predicting there."""
    parts, watches = [], []
    for first in fits.ACTIVATIONS:
        generator = Generator().manual_seed(FAR + p.seed)
        start = fits.start(generator, p.task.x.shape[1], p.graph.vertices[-1].shape[0])
        watches.append(Stopwatch(first, p.task, len(stops)))
        parts.append(block_predictions(watches[-1], {str(i): w for i, w in enumerate(start)},
                                       bounds, stops=stops, generator=generator, batch_size=SIZE,
                                       lr=RATE))
    log_p = torch.cat(parts, 1).transpose(0, 1)[:, :, None]
    return log_p, sum(w.training for w in watches).cumsum(), sum(w.predicting for w in watches)


def stopped(log_p: Tensor, training: np.ndarray, predicting: np.ndarray, stops, wanted) -> Found:
    "Prequential evidence with the mixture over the `wanted` ones of the stops."
    at = [list(stops).index(s) for s in wanted]
    return Found(mixture_over_stops(log_p[:, at].double()),
                 training[max(at)] + predicting[at].sum())


def growing(p: Problem) -> dict[str, Found]:
    "Blocks that double."
    e = p.effort
    stops = sorted({*e.stops, *e.fixed})
    made = fitted_blocks(p, e.bounds, stops)
    asked = {f"growing blocks, {n} epochs": (n,) for n in e.fixed}
    asked |= {f"growing blocks, mixture over {len(e.stops)} stops": e.stops}
    return {name: stopped(*made, stops, wanted) for name, wanted in asked.items()}


def late(p: Problem) -> dict[str, Found]:
    "One block, the last fifth of the rows."
    e, stops = p.effort, range(1, p.effort.late_stops[-1] + 1)
    made = fitted_blocks(p, e.late_bounds, stops)
    asked = {f"last fifth, {n} epochs": (n,) for n in e.late_stops}
    asked |= {f"last fifth, mixture over {n} stops": range(1, n + 1) for n in e.late_stops}
    return {name: stopped(*made, stops, wanted) for name, wanted in asked.items()}


def plain(p: Problem) -> dict[str, Found]:
    "Loss of short fits on the rows that they saw, and on the others."
    x, y, found = p.task.x, p.task.y, {}
    seen, begin, spent = round(p.effort.share * len(x)), time.process_time(), 0.0
    for first in fits.ACTIVATIONS:
        fit = fits.epochs(first, x[:seen], y[:seen], FAR + p.seed, p.effort.short[-1], RATE, SIZE)
        for epoch, weights in enumerate(fit, 1):
            for kind, rows in (("training", slice(seen)), ("validation", slice(seen, None))):
                if epoch in p.effort.short:
                    paid = time.process_time() - begin - spent
                    score, own = timed(lambda: fits.log_p(weights, first, x[rows], y[rows]).sum(1))
                    found.setdefault(f"plain fit, {epoch} epochs, {kind} loss",
                                     []).append((score, paid + own))
                    spent += own
        begin, spent = time.process_time(), 0.0
    return {name: Found(torch.cat([s for s, _ in parts]), sum(t for _, t in parts))
            for name, parts in found.items()}


def laplace(p: Problem) -> dict[str, Found]:
    """A Gaussian at the end of a fit like the truth's: part of the Gauss-Newton matrix, the best
    prior precisions."""
    x, y, begin, spent, found = p.task.x, p.task.y, time.process_time(), 0.0, {
        k: [] for k in curvature.PARTS}
    for first in fits.ACTIVATIONS:
        *_, weights = fits.epochs(first, x, y, FAR + p.seed, p.effort.long, PLAN["learning_rate"],
                                  SIZE)
        fit = torch.cat([fits.log_p(weights, first, *rows)
                         for rows in zip(x.split(250), y.split(250))], 1).sum(1)
        spent += time.process_time() - begin
        for part in curvature.PARTS:
            cost, seconds = timed(lambda: curvature.complexities(weights, first, x, part))
            found[part].append((fit, cost, seconds))
        begin = time.process_time()
    joined = {part: [torch.cat(v) for v in list(zip(*made))[:2]] for part, made in found.items()}
    return {f"Laplace, {part}": Found(fit - cost, spent + sum(s for *_, s in found[part]),
                                      {"fit": fit, "complexity": cost})
            for part, (fit, cost) in joined.items()}


def supernet(p: Problem) -> dict[str, Found]:
    "The order in which an enumeration visits the structures."
    run = Session(p.graph, p.task, p.effort.settings, FAR + p.seed, Checkpoint(None, "selection"))
    (order, _), seconds = timed(lambda: visiting_order(run, "supernet", len(p.structures)))
    place = {tuple(s.items()): i for i, s in enumerate(order)}
    return {"supernet": Found(-torch.tensor([float(place[tuple(s.items())]) for s in p.structures]),
                              seconds)}


def library(p: Problem) -> dict[str, Found]:
    """What an enumeration ranks by: `prequential_evidence` of the default plan, one fit for each
    network."""
    plan, begin = p.effort.settings.fit_plan(len(p.task)), time.process_time()
    names = [network_of(p.graph, s) for s in p.structures]
    first, found = dict(zip(names, p.structures)), []
    for i in range(0, len(first), TILE):
        found += prequential_evidence(p.graph, list(first.values())[i:i + TILE], p.task, plan,
                                      FAR + p.seed)
    value = dict(zip(first, (e.value for e in found)))
    score = torch.tensor([value[name] for name in names], dtype=torch.float64)
    return {"enumeration's evidence": Found(score, time.process_time() - begin)}


def felt(graph: Graph, structure: dict[str, str]) -> set[str]:
    "What the data can feel of the weights: `edge weight` and `edge bias`."
    live, reached = {e for e, _ in network_of(graph, structure)}, {graph.vertices[0].name}
    for e in graph.edges:
        if e.source in reached and structure.get(e.name) != "zero":
            reached.add(e.target)
    return {f"{e.name} {kind}" for e in graph.edges if e.name in live
            for kind in ("weight", "bias") if kind == "bias" or e.source in reached}


def felt_kl(batch: Batch, graph: Graph, structures: list[dict]) -> Tensor:
    """KL(q‖p) in nats [M] of the weights that the data can feel; the others keep their prior and
    cost nothing."""
    loc, scale, precision = batch.params["loc"], batch.params["log_scale"], prior_log_precision(
        batch)
    z = precision + 2 * scale
    each = batch.named(0.5 * (torch.expm1(z) - z + precision.exp() * loc.square()))
    masks = [felt(graph, s) for s in structures]
    on = lambda name, mask: f"{name.partition('/')[0]} {name.rpartition('/')[2]}" in mask
    return sum(v.flatten(1).sum(1) * torch.tensor([float(on(name, m)) for m in masks])
               for name, v in each.items())


def mean_field(p: Problem) -> dict[str, Found]:
    """The bound of a posterior of independent weights, c_reg = 1, prior precisions that maximise
    it, common noise."""
    begin, parts, size = time.process_time(), {"fit": [], "complexity": []}, 36
    plan = replace(p.effort.settings.plan(len(p.task)), structure_learning_rate=0.0)
    for i in range(0, len(p.structures), size):
        some, net = p.structures[i:i + size], Supernet(p.graph, share=True)
        generator = Generator().manual_seed(FAR + p.seed)
        batch = make_batch(net, generator, [len(p.task)] * len(some), 1.0, one_hot(net, some))
        batch.params["loc"].copy_(batch.params["loc"][:1].clone().expand_as(batch.params["loc"]))
        trainer = Trainer(batch, p.task, plan, generator)
        while not trainer.done:
            report = trainer.run_epoch()
        with torch.no_grad():
            parts["fit"].append(report["bound"] + weight_kl(batch))
            parts["complexity"].append(felt_kl(batch, p.graph, some))
    fit, cost = (torch.cat(v) for v in parts.values())
    seconds = time.process_time() - begin
    return {"mean-field, fitted prior": Found(
        fit - cost, seconds, {"fit": fit, "complexity": cost})}


def fixed_prior(p: Problem) -> dict[str, Found]:
    "The same bound under the prior that the starts are drawn from."
    begin, parts, e = time.process_time(), [], p.effort.settings
    for i, first in enumerate(fits.ACTIVATIONS):
        fit, kl = bounds(first, p.task.x, p.task.y, FAR + p.seed, e.epochs, e.learning_rate,
                         e.batch_size)
        parts.append((fit, felt_of(kl, p.graph, p.structures[36 * i:36 * (i + 1)])))
    fit, cost = (torch.cat(v) for v in zip(*parts))
    return {"mean-field, fixed prior": Found(fit - cost, time.process_time() - begin,
                                             {"fit": fit, "complexity": cost})}


def felt_of(kl: list[Tensor], graph: Graph, structures: list[dict]) -> Tensor:
    "The sum [36] of what the data can feel, of the four layers, biases in the last row."
    total, masks = 0.0, [felt(graph, s) for s in structures]
    for edge, k in zip(("x->h1", "x->h2", "h1->h2", "h2->y"), kl):
        for kind, part in (("weight", k[:, :-1]), ("bias", k[:, -1:])):
            on = torch.tensor([float(f"{edge} {kind}" in m) for m in masks])
            total = total + on * part.flatten(1).sum(1)
    return total


GROUPS = {f.__name__: f for f in (plain, supernet, library, late, growing, mean_field, fixed_prior,
                                  laplace)}


def measured(group: str, p: Problem, table: data.Table, truth: np.ndarray,
             quick: bool) -> list[dict]:
    "Rows of a group: each estimator's agreement with the truth, cost, and scores in nats."
    reference = MLPClassifier(random_state=p.seed, **({"max_iter": 2} if quick else {}))
    _, unit = timed(lambda: reference.fit(table.scaled[0], table.y[0]))
    rows = []
    for name, found in GROUPS[group](p).items():
        row = {"group": group, "estimator": name, "seed": p.seed, "cpu_ratio": found.seconds / unit,
               "cpu_seconds": found.seconds, "reference_seconds": unit,
               **against(truth, found.score.double().numpy())}
        parts = {k: [round(float(x), 1) for x in v] for k, v in (found.parts or {}).items()}
        rows.append(row | {"score": [round(float(x), 1) for x in found.score]} | parts)
    return rows


def summary(rows: list[dict]) -> dict:
    "Means over the seeds, and standard deviations where there are several."
    keys = "spearman", "pick", "top5", "top20", "behind", "cpu_ratio"
    rows = sorted(rows, key=lambda r: list(GROUPS).index(r["group"]))
    return {n: {k: [round(v, 4) for v in both] for k, both in found.items()}
            for n, found in summarise(rows, ("estimator",), keys).items()}


def ceiling(losses: np.ndarray) -> list[float]:
    "Spearman's correlation of each seed of the truth with the mean of the others."
    return [round(float(spearmanr(a, np.delete(losses, i, 0).mean(0)).statistic), 4)
            for i, a in enumerate(losses)]


def plotted(result: dict) -> Figure:
    "Correlation against cost, the ceiling as a line."
    figure = Figure(figsize=(6.4, 3.6), dpi=90, layout="constrained")
    ax = figure.subplots()
    for number, (name, s) in enumerate(result["summary"].items(), 1):
        (x, _), (y, dy) = s["cpu_ratio"], s["spearman"]
        ax.errorbar(x, y, dy, fmt="o", ms=4, color=f"C{(number - 1) % 10}",
                    label=f"{number} {name}")
        ax.annotate(str(number), (x, y), xytext=(4, 3), textcoords="offset points", fontsize=7)
    ax.axhline(mean(result["ceiling"]), color="grey", lw=0.8, ls="--")
    ax.axhline(0, color="grey", lw=0.5)
    ax.set(xscale="log", xlabel="CPU time / one default MLPClassifier",
           ylabel="Spearman with test log-likelihood")
    figure.legend(fontsize=6, loc="outside right upper")
    return figure


def show(result: dict) -> None:
    for name, row in result["summary"].items():
        print(f"{name:40}", "  ".join(f"{k} {a:.3g} ± {b:.2g}" for k, (a, b) in row.items()))
    print("ceiling", result["ceiling"])


def run(seeds: int, groups: list[str], out: Path | None, fresh: bool, quick: bool) -> dict:
    "Measure, print, and write where there is a folder."
    stored = json.loads(TRUTH.read_text())
    losses = np.array(list(stored["test_log_loss"].values()))
    table, file = data.load("mnist1d"), out and out / "selection.json"
    table, effort = (table.head(64, 64), SKETCH) if quick else (table, Effort())
    result = {"structures": len(stored["structures"]), "quick": quick, "ceiling": ceiling(losses),
              "rows": []}
    journal = file and file.with_suffix(".journal")
    if journal and fresh:
        journal.unlink(missing_ok=True)
    done = read_study(file).rows if file and file.exists() and not fresh else []

    def work(cell: dict) -> list[dict]:
        seed, group = cell["seed"], cell["group"]
        p = Problem(dense(40, 10, (64, 64)), stored["structures"], task_of(table, seed), seed,
                    effort)
        rows = measured(group, p, table, losses.mean(0), quick)
        for r in rows:
            print(f"seed {seed} {r['estimator']:40} ×{r['cpu_ratio']:.1f} Spearman "
                  f"{r['spearman']:+.3f} pick {r['pick']} top 5 {r['top5']} top 20 {r['top20']}",
                  flush=True)
        return rows

    cells = [{"seed": s, "group": g} for s in range(seeds) for g in groups]
    rows = visit(cells, work, journal=journal, plan={"quick": quick}, done=done)
    result["rows"] = sorted(rows, key=lambda r: (list(GROUPS).index(r["group"]), r["seed"]))
    result["summary"] = summary(result["rows"])
    if file:
        write_study(file, what=about(), journal=journal, **result)
    show(result)
    if out:
        plotted(result).savefig(out / "selection.png")
    return result


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.evidence.selection",
                                     description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3, help="seeds 0, 1, ... (3)")
    parser.add_argument("--only", nargs="+", choices=GROUPS, default=list(GROUPS),
                        help="groups of estimators (all)")
    parser.add_argument("--fresh", action="store_true", help="forget the stored rows")
    parser.add_argument("--quick", action="store_true", help="few rows and epochs: does it run?")
    parser.add_argument("--out", type=Path, help="folder for the results")
    asked = parser.parse_args(arguments)
    if asked.seeds < 1:
        parser.error(f"--seeds is {asked.seeds}: at least 1 is needed")
    torch.set_num_threads(1)
    warnings.simplefilter("ignore", ConvergenceWarning)
    with threadpool_limits(1):
        run(asked.seeds, asked.only, asked.out or (None if asked.quick else RESULTS), asked.fresh,
            asked.quick)


if __name__ == "__main__":
    main()
