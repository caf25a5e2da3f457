"""What the code answers on small seeded runs, one function a pin, in JSON that keeps every bit.

`python tests/pinned.py --record` writes tests/pins/pins.json anew, `--changed NAME ...` the answers
of some pins into changed.json, which counts for those that test_pins.py declares as exceptions.
`--artefacts` writes the saved files anew, which is for a new format alone: those that lie there
stand for what users have saved.
"""
# ruff: noqa: E402
import os

os.environ["OMP_NUM_THREADS"] = "1"

import hashlib
import io
import json
import re
import shutil
import signal
import sys
import tempfile
import warnings
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pandas as pd
import torch
from sklearn.datasets import load_diabetes, load_iris

PINS_FOLDER = Path(__file__).resolve().parent / "pins"
if __name__ == "__main__":
    sys.path.insert(0, str(PINS_FOLDER.parents[1]))
    import conftest  # noqa: F401  # shapes are checked while recording as they are in tests

# every import of the library, and only here
import bstruct
from bstruct import Graph, Settings, StructureClassifier, StructureRegressor, Supernet, evidence
from bstruct.distributions import gaussian, gaussian_families
from bstruct.distributions.boolean_cube import BooleanCube, kl_bernoulli
from bstruct.distributions.gumbel_softmax import GumbelSoftmax
from bstruct.distributions.gumbel_softmax_kl import kl_categorical, kl_equal_temperature
from bstruct.distributions.gumbel_softmax_moments import kl_any_temperature
from bstruct.evidence.prequential import growing_blocks, prequential
from bstruct.evidence.problems import logistic_problem, polynomial_problem, tanh_problem
from bstruct.hypergradient import hypergradient, optimise
from bstruct.hypergradient.random_search import random_search
from bstruct.objectives.complexity import complexity, parametric_complexity
from bstruct.objectives.task import Task
from bstruct.search.modes.bilevel import bilevel
from bstruct.search.modes.enumeration import enumerate_structures
from bstruct.training.fits import prequential_evidence
from bstruct.training.outer_plan import OuterPlan
from bstruct.use import cli, flow

torch.set_num_threads(1)
PINS = {}


def pin(f):
    "Make the function a pin of its name."
    PINS[f.__name__] = f
    return f


# --- JSON that keeps every bit


def plain(value):
    "Floats as hexadecimal text, tensors as lists, all else as JSON has it."
    if isinstance(value, torch.Tensor | np.ndarray | np.generic):
        value = value.tolist()
    if isinstance(value, float):
        return value.hex()
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    return [plain(v) for v in value] if isinstance(value, list | tuple) else value


def digest(*parts) -> str:
    "Of bytes that depend on floats, which another processor may round otherwise."
    found = hashlib.sha256()
    for part in parts:
        found.update(part if isinstance(part, bytes)
                     else json.dumps(plain(part), sort_keys=True).encode())
    return f"floats:{found.hexdigest()}"


def text_digest(text: str) -> str:
    "Of bytes that are the same everywhere."
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def machine() -> dict[str, str]:
    "What decides the last bits."
    names = [line.split(":", 1)[1].strip()
             for line in Path("/proc/cpuinfo").read_text().splitlines()
             if line.startswith("model name")] if Path("/proc/cpuinfo").exists() else []
    return {"torch": torch.__version__, "numpy": np.__version__,
            "capability": torch.backends.cpu.get_cpu_capability(), "processor": names[0] if names
            else "unknown"}


# --- tables, settings and records that pins share

SMALL = dict(hidden=(4,), candidates=("zero", "linear+tanh", "linear+relu"), epochs=3, min_steps=6,
             starts=2, screened=3, finalists=2, replicas=2, blocks=2, samples=4, batch_size=32,
             tempering=(1.0, 0.1), judge="prequential")
WIDE = dict(hidden=(4, 4), candidates=("zero", "linear+tanh"), epochs=3, min_steps=0, starts=2,
            finalists=2, replicas=2, blocks=2, samples=4, batch_size=32, tempering=(1.0,),
            judge="prequential")


def three_classes():
    X, y = load_iris(return_X_y=True)
    return X[::3], y[::3]


def two_classes():
    X, y = load_iris(return_X_y=True)
    return X[50::2, :2], np.array(["versicolor", "virginica"])[y[50::2] - 1]


def numbers():
    X, y = load_diabetes(return_X_y=True)
    return X[:60, [2, 3, 8]], y[:60]


def petals() -> Task:
    "The length of a petal from two numbers: the same to the bit on every machine."
    X, _ = load_iris(return_X_y=True)
    order = torch.randperm(75, generator=seeded(0))
    x = torch.tensor(X[::2], dtype=torch.float32)[order]
    return Task(x[:, [0, 3]], x[:, 2], "gaussian")


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def normal(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=seeded(seed), dtype=torch.float64)


def names(structure: dict) -> str:
    return " ".join(map(str, structure.values()))


def evidence_of(e) -> dict:
    return {"value": e.value, "stderr": e.stderr, "method": e.method, "bound": e.is_lower_bound,
            "ess": e.ess, "reliable": e.reliable}


def unlabelled(record: dict) -> dict:
    "Without the words that say what its evidence is of, which files of earlier versions lack."
    return {k: v for k, v in record.items() if k != "of"}


def timeless(history: list[dict]) -> list[dict]:
    left_out = ("seconds", "forecast", "crc")
    return [{k: v for k, v in r.items() if k not in left_out} for r in history]


def unsealed(path: Path) -> dict:
    "A file of a run without its checksum, in which the time of the run is."
    return {k: v for k, v in json.loads(path.read_text()).items() if k != "sha256"}


def tensors_of(batches) -> str:
    "Digest of all posteriors of a result."
    return digest(*(v.detach().contiguous().numpy().tobytes() for b in batches
                    for _, v in sorted(b.params.items())))


def told(model, X) -> dict:
    "What a fitted estimator tells, and what it predicts."
    rows = lambda found: [{**r, "structure": names(r["structure"])} for r in map(unlabelled, found)]
    predict = {"proba": model.predict_proba(X),
               "labels": model.predict(X)} if hasattr(model, "predict_proba") else {
        "mean": model.predict(X), "std": model.predict(X, return_std=True)[1]}
    best = getattr(model, "predict_proba", model.predict)(X, structures="best")
    return {"structure": names(model.structure_), "ranking": rows(model.ranking_),
            "path": rows(model.path_),
            "marginals": model.structure_probabilities_, "evidence": evidence_of(model.evidence_),
            "complexity": model.complexity_, "levels": model.levels_, "notes": model.notes_,
            **predict, "best": best,
            "sample": [names(s) for s in model.sample(3, random_state=0)],
            "interrupted": model.interrupted_,
            "history": digest(timeless(model.history_)),
            "weights": tensors_of(model.result_.batches)}


def summed(model, X) -> dict:
    "Probabilities by all samples of all structures in float64, as every earlier version had them."
    from bstruct.use.predictor import ensemble, predictive

    by = {k: predictive(model, ensemble(model.result_, model.samples, of), torch.tensor(X))
          for k, of in (("proba", "all"), ("best", "best"))}
    return {k: v.numpy() for k, v in by.items()}


def fitted(kind, table, **settings):
    X, y = table
    return kind(**settings, random_state=0).fit(X, y)


def estimator(kind, table, **settings) -> dict:
    return told(fitted(kind, table, **settings), table[0][:5])


# --- estimators, in every mode


@pin
def evidence_of_three_classes():
    return estimator(StructureClassifier, three_classes(), **SMALL)


@pin
def evidence_of_two_classes():
    return estimator(StructureClassifier, two_classes(), **SMALL)


@pin
def evidence_of_numbers():
    return estimator(StructureRegressor, numbers(), **SMALL)


@pin
def evidence_that_decides():
    x = normal(0, 60, 2)
    table = x.numpy(), (torch.sin(2 * x[:, 0]) + 0.1 * normal(1, 60)).numpy()
    more = {"candidates": ("zero", "linear", "linear+sin"), "min_steps": 80, "replicas": 4,
            "learning_rate": 0.1}
    return estimator(StructureRegressor, table, **{**SMALL, **more})


@pin
def evidence_of_a_graph_of_ones_own():
    graph = Graph({"x": 3, "a": 4, "b": 4, "y": 1}, {
        "x->a": ("linear+tanh", "linear+sin"), "x->b": ("zero", "linear"), "a->b": "identity",
                                                     "b->y": "linear"})
    more = {"share_weights": False, "structure_kl": "gumbel"}
    return estimator(StructureRegressor, numbers(), **{**SMALL, **more}, graph=graph)


@pin
def evidence_on_two_levels():
    more = {"c_prior": 0.3, "hypergradient": "implicit", "tempering": (1.0,)}
    return estimator(StructureClassifier, three_classes(), **{**SMALL, **more})


@pin
def evidence_with_rows_held_out():
    more = {"validation": 0.25, "c_prior": (0.5, 1.0), "tempering": (1.0,)}
    return estimator(StructureRegressor, numbers(), **{**SMALL, **more})


@pin
def grown_for_three_classes():
    return estimator(StructureClassifier, three_classes(), **SMALL, mode="grow")


@pin
def grown_for_numbers():
    return estimator(StructureRegressor, numbers(), **{**SMALL, "tolerance": 0.5}, mode="grow")


@pin
def shrunk_for_two_classes():
    return estimator(StructureClassifier, two_classes(), **SMALL, mode="shrink")


@pin
def shrunk_for_numbers():
    return estimator(StructureRegressor, numbers(), **SMALL, mode="shrink")


@pin
def enumerated_for_numbers():
    return estimator(StructureRegressor, numbers(), **WIDE, mode="enumerate")


@pin
def enumerated_for_three_classes_on_a_budget():
    return estimator(StructureClassifier, three_classes(), **WIDE, mode="enumerate", budget=5)


@pin
def enumerated_for_two_classes_by_halving():
    more = {"candidates": ("zero", "linear+tanh", "linear+relu"), "epochs": 8}
    return estimator(StructureClassifier, two_classes(), **{**WIDE, **more}, mode="enumerate",
                     halving=True)


# --- enumeration by itself


def visited(**options) -> dict:
    "Rows, notes and visits of an enumeration."
    graph = Graph.dense(2, 1, (4, 4), ("zero", "linear+tanh"))
    settings = Settings(**WIDE, mode="enumerate")
    found = enumerate_structures(graph, petals(), settings=settings, seed=3, **options)
    row = lambda r: {**r, "structure": names(r["structure"]),
                     "evidence": evidence_of(r["evidence"])}
    return {"ranking": [row(r) for r in found.rows], "notes": found.notes, "total": found.total,
            "text": digest(str(found).encode())}


@pin
def enumerated_in_random_order():
    return visited(order="random", budget=5)


@pin
def enumerated_by_laplace_in_the_order_given():
    return visited(order="given", evidence="laplace", budget=3)


@pin
def enumeration_and_its_journal():
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "journal"
        found = visited(journal=path, budget=3)
        return {**found, "journal": digest(path.read_bytes()),
                "lines": path.read_bytes().count(b"\n")}


@pin
def fits_and_their_evidence():
    graph = Graph.dense(2, 1, (4, 4), ("zero", "linear+tanh"))
    task = petals()
    plan = Settings(**WIDE).fit_plan(len(task))
    found = prequential_evidence(graph, list(graph.structures()), task, plan, seed=1)
    return {"plan": [plan.bounds, plan.rows], "evidence": {names(s): evidence_of(e) for s, e in zip(
        graph.structures(), found)}, "starts": found[-1].diagnostics["starts"]}


# --- two levels


def two_levels(graph: Graph | None = None, **outer) -> dict:
    graph = graph or Graph.dense(2, 1, (4,), ("zero", "linear+tanh"))
    plan = OuterPlan(**outer) if outer else None
    found = bilevel(graph, petals(), settings=Settings(**SMALL), seed=2, outer=plan)
    return {"history": found.history, "shortcut": found.shortcut, "messages": found.messages,
            "best": found.best, "weights": tensors_of([found.batch])}


@pin
def bilevel_on_a_single_level():
    return two_levels()


@pin
def bilevel_on_the_cube():
    return two_levels(Graph.cube(2, 1, (2, 4)))


@pin
def bilevel_on_two_levels():
    return two_levels(c_prior=0.4, c_comb=0.5, known=[{"x->h1": torch.tensor([1.0, 0.0])}],
                      method="unroll", steps=2, grouping="unit", hyperprior=(2.0, 0.5), hold=0.2)


@pin
def bilevel_with_coupled_candidates_and_rows_held_out():
    return two_levels(validation=0.25, method="forward", steps=2, coupled=True, vertices=False,
                      hold=0.2)


@pin
def bilevel_with_implicit_hypergradients():
    return two_levels(c_prior=0.4, learn=("structure", "noise"), precision=2.0, method="implicit",
                      steps=2, hold=0.2)


# --- hypergradients


def training():
    "A small problem: losses, weights, hyperparameters."
    x, y, rows = normal(0, 20, 5), normal(1, 20), torch.randint(20, (64, 6), generator=seeded(2))

    def inner(theta, hyper, step):
        residual = torch.tanh(x[rows[step]] @ theta["w"] + theta["b"]) - y[rows[step]]
        return (residual**2).mean() + (hyper["log_l2"].exp() * theta["w"] ** 2).sum()

    def outer(theta, hyper):
        return ((torch.tanh(x @ theta["w"] + theta["b"]) - y) ** 2).mean() + 0.01 * (
            hyper["log_l2"] ** 2).sum()

    theta = {"w": normal(3, 5), "b": torch.zeros((), dtype=torch.float64)}
    return inner, outer, theta, {"log_l2": torch.full((5,), -2.0, dtype=torch.float64)}


@pin
def hypergradients_by_every_method():
    found = {}
    for method, more in {"unroll": {}, "forward": {}, "reversible": {}, "drmad": {},
                         "truncated": {"window": 4},
                         "greedy": {}, "implicit": {"iterations": 20},
                         "neumann": {"iterations": 20, "alpha": 0.1}
                         }.items():
        r = hypergradient(*training(), method=method, steps=12, lr=0.1, momentum=0.8, **more)
        found[method] = {"value": r.value, "grads": r.grads, "theta": r.theta, "step": r.step}
    inner, outer, theta, _ = training()
    best = random_search(inner, outer, theta, lambda g: {
        "log_l2": torch.randn(5, generator=g, dtype=torch.float64)},
                         budget=36, steps=12, lr=0.1, momentum=0.8, generator=seeded(0))
    found["random_search"] = {"value": best.value, "hyper": best.hyper,
                              "tried": [r["value"] for r in best.history]}
    return found


@pin
def hyperparameters_optimised():
    found = optimise(*training(), method="unroll", outer_steps=4, steps=8, lr=0.1, optimiser="adam",
                     warm=True)
    return {"value": found.value, "hyper": found.hyper, "norms": [r["norm"] for r in found.history],
            "costs": [r["cost"] for r in found.history]}


# --- distributions


def relaxed(q, p, vertices) -> dict:
    "Samples, densities and moments of q, and its divergence from p."
    z = q.rsample((2,), generator=seeded(5))
    return {"sample": z, "log_sample": q.rsample_log((2,), generator=seeded(6)),
            "log_prob": q.log_prob(z),
            "mean": q.mean, "vertices": q.vertex_probs, "vertex_entropy": q.vertex_entropy(),
            "mixing_entropy": q.mixing_entropy(), "entropy": q.entropy(),
            "kl": torch.distributions.kl_divergence(q, p),
            "kl_vertices": vertices(q.logits, p.logits)}


@pin
def gumbel_softmax():
    a, b = normal(0, 3, 4), normal(1, 3, 4)
    c = torch.tensor([0.5, 1.0, 2.0], dtype=torch.float64)
    return {"equal": relaxed(GumbelSoftmax(a, 0.7), GumbelSoftmax(b, 0.7), kl_categorical),
            "any": relaxed(GumbelSoftmax(a, c), GumbelSoftmax(b, 0.7), kl_categorical),
            "float32": GumbelSoftmax(a.float(), 0.7).rsample((2,), generator=seeded(5)),
            "kl": [kl_equal_temperature(a, b), kl_any_temperature(a, 0.7, b, 0.5)]}


@pin
def boolean_cube():
    a, b = normal(0, 3, 4), normal(1, 3, 4)
    return {"equal": relaxed(BooleanCube(a, 0.7), BooleanCube(b, 0.7), kl_bernoulli),
            "any": relaxed(BooleanCube(a, 0.7), BooleanCube(b, 1.5), kl_bernoulli)}


@pin
def gaussians():
    loc, s, a, noise = normal(0, 4, 3), 0.3 * normal(1, 4, 3), normal(2, 4, 1), normal(3, 4, 3)
    lower = normal(4, 3, 3).tril(-1) * 0.5 + torch.eye(3, dtype=torch.float64)
    m, factor, flat = loc[0], normal(5, 3, 2), a[0].expand(3)
    return {"kl": gaussian.kl_diagonal(loc, s, a), "sample": gaussian.reparameterise(loc, s, noise),
            "precision": [gaussian.optimal_log_precision(loc, s, d) for d in (None, (0,), ())],
            "graves": gaussian.graves_prior(loc, s, (0,)),
            "signal": gaussian.signal_to_noise(loc, s),
            "local": gaussian.linear_local(noise[:2, :].new_ones(2, 4), loc, s, noise[:2]),
            "keep": gaussian.keep_mask({"w": loc}, {"w": s}, 0.4),
            "kl_full": gaussian_families.kl_full(m, lower, flat),
            "full": gaussian_families.reparameterise_full(m, lower, noise),
            "kl_low_rank": gaussian_families.kl_low_rank(m, factor, s[0], flat),
            "low_rank": gaussian_families.reparameterise_low_rank(m, factor, s[0], normal(6, 2, 5)),
            "gap": gaussian_families.mean_field_gap(lower @ lower.mT)}


@pin
def complexities():
    loc, s = {"w": normal(0, 4, 3), "b": normal(1, 3)}, {"w": normal(2, 4, 3) - 1,
                                                         "b": normal(3, 3) - 1}
    precision, q = {"w": normal(4, 1, 3), "b": normal(5, 1)}, {
        "x->h": normal(6, 3), "h->y": normal(7, 2)}
    prior = {"log_precision": precision, "logits": {k: torch.zeros_like(v) for k, v in q.items()}}
    found = complexity({"loc": loc, "log_scale": s}, prior, q, 0.7)
    least = {g: parametric_complexity(loc, s, g) for g in ("weight", "unit", "layer", "model")}
    return {"complexity": vars(found), "text": digest(str(found).encode()), "least": least}


# --- evidence of small models


def estimate(problem, method: str, **options) -> dict:
    found = evidence.estimate(problem.log_likelihood, problem.prior, method=method,
                              generator=seeded(0), **options)
    return evidence_of(found)


@pin
def evidence_by_laplace():
    return {"hessian": estimate(tanh_problem(2), "laplace", starts=4),
            "diagonal": estimate(logistic_problem(3), "laplace", structure="diagonal", starts=2),
            "linear": estimate(polynomial_problem(2), "laplace", starts=2)}


@pin
def evidence_by_a_variational_bound():
    more = {"importance": 50, "groups": 4, "steps": 30, "draws": 4, "starts": 2}
    return {f: estimate(logistic_problem(4), "variational", family=f, **more)
            for f in ("mean_field", "low_rank", "full")}


@pin
def evidence_by_smc():
    return estimate(logistic_problem(3), "smc", islands=4, particles=32)


@pin
def evidence_by_a_mixture():
    more = {"particles": 64, "starts": 4, "rounds": 1, "batch": 400, "max_samples": 800}
    return {"logistic": estimate(logistic_problem(3), "mixture", **more),
            "units": estimate(tanh_problem(2), "mixture", units=tanh_problem(2).units, **more)}


@pin
def evidence_by_many_starts():
    return {e: estimate(logistic_problem(3), "multistart", starts=8, steps=30, entropy=e)
            for e in ("exact", "bound")}


@pin
def evidence_by_prediction():
    problem = logistic_problem(3)
    x, sign = problem.data
    each = lambda w, i: torch.nn.functional.logsigmoid(sign[i] * (x[i] @ w["w"]))
    log_p = normal(1, 2, 3, 8) - 1
    given = {"row_log_likelihood": each, "rows": 60, "replicas": 4, "stops": (0, 2, 5)}
    return {"blocks": growing_blocks(60, 3),
            "of_densities": evidence_of(prequential(log_p, past=4)),
            "whole": estimate(problem, "prequential", **given),
            "late": estimate(problem, "prequential", blocks=2, **given)}


@pin
def evidence_in_closed_form():
    x, y = polynomial_problem(2).data
    return {"linear": evidence_of(
        evidence.linear_evidence(x, y, precision=1.0, noise_variance=0.09)),
            "exact": [polynomial_problem(d).exact for d in range(4)],
            "methods": [m for m in evidence.methods() if not m.startswith("test-")]}


# --- graphs and networks


def graphs() -> dict[str, Graph]:
    return {"dense": Graph.dense(3, 2, (4, 4), domain="cube"), "cell": Graph.cell(3, 2, 4, 2, 2),
            "convolutional": Graph.convolutional((2, 8, 8), 3, (4, 4)),
            "cube": Graph.cube(3, 1, (2, 4)), "polynomial": Graph.polynomial(3)}


@pin
def graphs_and_their_networks():
    found = {}
    for name, graph in graphs().items():
        net = Supernet(graph)
        weights = net.init(seeded(0))
        x = torch.randn(2, *graph.vertices[0].shape, generator=seeded(1))
        structure = {e: c if not graph.exclusive else c[-1] for e, c in graph.choices.items()}
        half = {e: torch.full((len(c),), 0.5) for e, c in graph.choices.items()}
        small, cut = net.individual(weights, structure)
        part = {e.name: torch.ones(len(e.candidates)) for e in small.graph.edges}
        found[name] = {"json": text_digest(graph.to_json()), "structures": graph.n_structures,
                       "last": names(structure), "order": graph.order(),
                       "dot": text_digest(graph.to_dot()),
                       "weights": {k: list(v.shape) for k, v in weights.items()},
                       "init": digest(*(v.numpy().tobytes() for v in weights.values())),
                       "output": net(weights, half, x).flatten()[:6],
                       "individual": small(cut, part, x).flatten()[:6]}
    return found


# --- files: what a run writes, and what is read of the saved ones

RUN = ("--test-size 0.3 --hidden 4 --candidates zero linear+tanh linear+relu --epochs 3 "
       "--min-steps 6 --starts 2 --screened 3 --finalists 2 --replicas 1 --blocks 2 --samples 4 "
       "--batch-size 32 --tempering 1.0").split()


def command(*args) -> tuple[int, str, str]:
    "Exit code, standard output and messages of the command line."
    out, err = io.StringIO(), io.StringIO()
    with warnings.catch_warnings(), redirect_stdout(out), redirect_stderr(err):
        code = cli.main([str(a) for a in args])
    return code, out.getvalue(), err.getvalue()


def outcome(run: Path) -> dict:
    "What is in a run folder, but for times, versions, figures and notes of other versions."
    result, settings = unsealed(run / "result.json"), unsealed(run / "settings.json")
    left_out = ("versions", "history", "settings", "notes")
    model = bstruct.load(run / "model")
    result["ranking"], result["evidence"] = [unlabelled(r) for r in result["ranking"]], unlabelled(
        result["evidence"])
    result["evidence_text"] = re.sub(r" of rows .*(?= \()", "", result["evidence_text"])
    table = pd.read_csv(run / "ranking.csv", dtype=str,
                        keep_default_na=False).drop(columns="of", errors="ignore")
    return {"result": {k: v for k, v in result.items() if k not in left_out},
            "history": digest(timeless(result["history"])),
            "weights": tensors_of(model.result_.batches),
            "search": settings["search"], "facts": settings["facts"], "seed": settings["seed"],
            "encoder": unsealed(run / "encoder.json"),
            "table": digest(table.to_csv(index=False).encode()),
            "predicted": summed(model, three_classes()[0][:5])["proba"]}


def copy_of(name: str, folder: str) -> Path:
    "A copy of a saved run or file, which may be written to."
    source, to = PINS_FOLDER / name, Path(folder) / name
    return Path(shutil.copytree(source, to) if source.is_dir() else shutil.copy(source, to))


@pin
def run_at_the_command_line():
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        code, out, _ = command("fit", "iris", *RUN, "--out", run)
        journal = [json.loads(line) for line in (run / "journal.jsonl").read_text().splitlines()]
        return {"code": code, "text": out.replace(folder, "").splitlines(), **outcome(run),
                "journal": digest(timeless(journal)),
                "files": sorted(p.name for p in run.glob("[!.]*.*"))}


@pin
def saved_graph_read():
    text = (PINS_FOLDER / "graph_v1.json").read_text()
    graph = Graph.from_json(text)
    return {"again": text_digest(graph.to_json()), "same": graph.to_json() == text,
            "structures": graph.n_structures,
            "candidates": graph.candidates, "domain": graph.to_dict()["domain"]}


@pin
def saved_estimator_read():
    model = bstruct.load(PINS_FOLDER / "estimator")
    return {**told(model, three_classes()[0][:5]), "summed": summed(model, three_classes()[0][:5]),
            "params": {k: v for k, v in model.get_params(deep=False).items()
                                                              if k != "graph"}}


@pin
def finished_run_read():
    with tempfile.TemporaryDirectory() as folder:
        run = copy_of("finished", folder)
        code, out, err = command("show", run)
        predicted, table, _ = command("predict", run, "iris")
        frame = pd.read_csv(io.StringIO(table), float_precision="round_trip")
        return {"codes": [code, predicted], "text": out.replace(folder, "").splitlines(),
                "messages": err,
                "columns": list(frame), "labels": frame["prediction"][::30].tolist(),
                "proba": frame.iloc[::30, 1:].to_numpy(), "whole": digest(table.encode()),
                **outcome(run)}


@pin
def interrupted_run_resumed():
    with tempfile.TemporaryDirectory() as folder:
        run = copy_of("interrupted", folder)
        before = unsealed(run / "result.json")
        stage = before["interrupted"] and json.loads(
            (run / "journal.jsonl").read_text().splitlines()[-1])["stage"]
        shown = command("show", run)[1].replace(folder, "").splitlines()
        code, _, err = command("resume", run)
        if "belongs to other data" in err:
            raise OtherRounding(err)
        return {"shown": shown, "interrupted": stage, "code": code,
                "checkpoint": (run / "checkpoint").exists(), **outcome(run)}


@pin
def saved_enumeration_continued():
    with tempfile.TemporaryDirectory() as folder:
        path = copy_of("enumeration.journal", folder)
        before, told = path.read_bytes(), []
        found = visited(journal=path, budget=6, callback=told.append)
        after = path.read_bytes()
        return {**found, "kept": after.startswith(before),
                "stages": sorted({r["stage"] for r in told}),
                "done_before": told[0]["structures"], "lines": after.count(b"\n"),
                "journal": digest(after)}


class OtherRounding(Exception):
    """The standardised table differs in its last bits from the recorded one, so its checkpoint is
    not this table's."""


# --- recording


def record(name: str) -> dict:
    "What a pin answers now, as JSON."
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return json.loads(json.dumps(plain(PINS[name]())))


def write_artefacts(folder: Path) -> None:
    "The saved files, as the present code writes them."
    for name in ("estimator", "finished", "interrupted"):
        shutil.rmtree(folder / name, ignore_errors=True)
    (folder / "enumeration.journal").unlink(missing_ok=True)
    (folder / "graph_v1.json").write_text(saved_graph().to_json())
    fitted(StructureClassifier, three_classes(), **SMALL).save(folder / "estimator")
    visited(journal=folder / "enumeration.journal", budget=3)
    (folder / ".enumeration.journal.lock").unlink()
    # the name of a machine belongs in no repository
    with patch("platform.platform", return_value="any"):
        command("fit", "iris", *RUN, "--out", folder / "finished")
        with patch.object(flow.Progress, "__call__", stop_at("posterior")):
            command("fit", "iris", *RUN, "--out", folder / "interrupted")
    for run in (folder / "finished", folder / "interrupted"):
        shutil.rmtree(run / "figures")
        (run / "report.html").unlink()
        (run / ".lock").unlink()
        (run / ".journal.jsonl.lock").unlink()


def saved_graph() -> Graph:
    "The graph of graph_v1.json."
    return Graph({"x": 4, "h": 4, "y": 3},
                 {"x->h": ("zero", "linear+tanh", "linear+relu"), "h->y": "linear",
                                            "x->y": ("zero", "linear")})


def stop_at(stage: str):
    "Ctrl-C at the second epoch of a stage."
    def heard(self, record, names):
        if record["stage"] == stage and record["epoch"] == 2:
            os.kill(os.getpid(), signal.SIGINT)
    return heard


def write(path: Path, chosen) -> None:
    "What the chosen pins answer, with the machine that computed it."
    found = {"machine": machine(), "pins": {name: record(name) for name in chosen}}
    path.write_text(json.dumps(found, indent=1) + "\n")


def main(options: list[str]) -> None:
    if "--artefacts" in options:
        write_artefacts(PINS_FOLDER)
    if "--record" in options:
        write(PINS_FOLDER / "pins.json", PINS)
    if "--changed" in options:
        write(PINS_FOLDER / "changed.json", options[options.index("--changed") + 1:])


if __name__ == "__main__":
    main(sys.argv[1:])
