"""Every mode gives the same answer on another device, and a step of training neither copies nor
makes the host wait."""
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from emulated import COUNTS, DEVICE, emulated

from bstruct.core.random import ahead, generator_of
from bstruct.distributions.gumbel_softmax_density import gumbel_noise
from bstruct.evidence.core import GaussianPrior, estimate
from bstruct.model.graph import Graph
from bstruct.model.presets import dense
from bstruct.model.supernet import Supernet
from bstruct.objectives.task import Task
from bstruct.search.modes.bilevel import bilevel
from bstruct.search.modes.enumeration import enumerate_structures
from bstruct.search.modes.family import search
from bstruct.search.settings import Settings
from bstruct.structure.cube import Cube
from bstruct.structure.ordered import Ordered
from bstruct.structure.simplex import Simplex
from bstruct.training.batch import make_batch, one_hot
from bstruct.training.bilevel import BilevelTrainer
from bstruct.training.fits import FitPlan, Fits
from bstruct.training.laplace import DualPlan, fit_dual
from bstruct.training.linearised import predict_dual
from bstruct.training.outer_plan import OuterPlan
from bstruct.training.variational import Plan, Trainer
from bstruct.use.estimators import StructureClassifier, StructureRegressor, load

SHORT = replace(Settings(), min_steps=0, epochs=2, screened=3, finalists=2, starts=3, samples=4,
                judge="prequential")
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(autouse=True)
def short_fits_of_the_judge(monkeypatch):
    monkeypatch.setattr("bstruct.search.stages.judge.DualPlan",
                        partial(DualPlan, steps=20, every=10))


def rows(likelihood: str, n: int = 48) -> Task:
    g = torch.Generator().manual_seed(0)
    x = torch.randn(n, 3, generator=g)
    y = torch.sin(2 * x[:, 0]) + 0.1 * torch.randn(n, generator=g)
    targets = {"categorical": (y > 0).long() + (x[:, 1] > 1), "gaussian": y,
               "bernoulli": (y > 0).float()}
    return Task(x, targets[likelihood], likelihood)


def graph_for(likelihood: str) -> Graph:
    return dense(3, 3 if likelihood == "categorical" else 1, (3,))


def there(task: Task) -> Task:
    return Task(task.x.to(DEVICE), task.y.to(DEVICE), task.likelihood)


def counted(work) -> tuple[int, int]:
    "Waits and copies of a piece of work."
    before = [COUNTS[k].total() for k in ("waits", "copies")]
    work()
    return tuple(COUNTS[k].total() - b for k, b in zip(("waits", "copies"), before))


def same(a, b) -> None:
    """The same structures in the same order, with the same evidence and probabilities up to
    rounding."""
    assert [r.structure for r in a] == [r.structure for r in b] and not any(r.error for r in b)
    for p, q in zip(a, b):
        assert q.evidence.value == pytest.approx(p.evidence.value, rel=1e-4, abs=1e-3)
        assert q.probability == pytest.approx(p.probability, abs=1e-3)


def test_the_emulation_raises_and_counts():
    with emulated():
        x = torch.randn(4).to(DEVICE)
        with pytest.raises(RuntimeError, match="one device"):
            x + torch.randn(4)
        with pytest.raises(RuntimeError, match="generator"):
            torch.randn(4, generator=torch.Generator(), device=DEVICE)
        with pytest.raises(TypeError, match="numpy"):
            x.numpy()
        assert (x + torch.tensor(1.0)).device == DEVICE  # a number of the host may join
        for work, found in ((lambda: x.sum().item(), (1, 0)), (lambda: bool((x > 0).any()), (1, 0)),
                            (lambda: x.tolist(), (1, 0)), (lambda: x[x > 0], (1, 0)),
                            (lambda: x.cpu(), (1, 0)),
                            (lambda: torch.ones(3).to(DEVICE), (0, 1)),
                            (lambda: x[torch.tensor([0, 2])], (0, 1)),
                            (lambda: torch.tensor([1.0], device=DEVICE), (0, 1)),
                            (lambda: x.sin().sum(), (0, 0))):
            assert counted(work) == found


def test_numbers_drawn_ahead_are_those_of_the_host():
    draws = lambda g: lambda: {"a": torch.randn(2, 3, generator=g), "b": torch.rand(5, generator=g)}
    own = list(ahead(draws(generator_of(0, "x")), 7, "cpu"))
    with emulated():
        found = list(ahead(draws(generator_of(0, "x")), 7, DEVICE, room=25))
        assert COUNTS["copies"].total() == 4  # of 7 draws, 2 at a time
        for a, b in zip(own, found, strict=True):
            assert all(b[k].device == DEVICE and torch.equal(a[k], b[k].cpu()) for k in a)


MODES = [("categorical", {}), ("gaussian", {}), ("bernoulli", {}),
         ("gaussian", {"judge": "laplace"}),
         ("categorical", {"mode": "grow"}), ("categorical", {"mode": "shrink"}),
         ("categorical", {"mode": "enumerate", "budget": 6}),
         ("categorical", {"mode": "enumerate", "budget": 16, "halving": True}),
         ("gaussian", {"mode": "enumerate", "budget": 4, "judge": "laplace"}),
         ("categorical", {"validation": 0.3, "epochs": 1})]


@pytest.mark.parametrize("likelihood,more", MODES, ids=lambda v: v if isinstance(v, str)
                         else "-".join(map(str, v.values())))
def test_a_mode_finds_the_same_on_another_device(likelihood, more):
    task, graph, settings = rows(likelihood), graph_for(likelihood), replace(SHORT, **more)
    own = search(graph, task, settings, 0)
    with emulated():
        found = search(graph, there(task), settings, 0)
    same(own.ranking, found.ranking)
    assert own.notes == found.notes


def test_random_order_and_estimators_of_structures():
    task, graph, settings = rows("categorical"), graph_for("categorical"), replace(
        SHORT, mode="enumerate")
    method = partial(estimate, method="multistart", starts=2, steps=3)
    asked = {"settings": settings, "budget": 3, "order": "random", "evidence": method}
    own = enumerate_structures(graph, task, **asked)
    with emulated():
        same(own.rows, enumerate_structures(graph, there(task), **asked).rows)


PLANS = {"closed": {}, "units": {"grouping": "unit"}, "hyperprior": {"hyperprior": (2.0, 1.0)},
         **{m: {"method": m, "validation": 0.3, "steps": 2}
            for m in ("unroll", "forward", "greedy", "implicit")},
         "truncated": {"method": "truncated", "validation": 0.3, "steps": 2,
                       "options": {"window": 1}},
         **{m: {"method": m, "validation": 0.3, "steps": 2, "optimiser": "sgd", "momentum": 0.9}
            for m in ("drmad",)},
         "neumann": {"method": "neumann", "validation": 0.3, "options": {"iterations": 5}}}


@pytest.mark.parametrize("name", PLANS)
def test_two_levels_find_the_same_on_another_device(name):
    task, graph, plan = rows("categorical"), graph_for("categorical"), OuterPlan(**PLANS[name])
    own = bilevel(graph, task, settings=replace(SHORT, epochs=1), outer=plan)
    with emulated():
        found = bilevel(graph, there(task), settings=replace(SHORT, epochs=1), outer=plan)
        for a, b in zip(own.history, found.history, strict=True):
            assert b["outer"] == pytest.approx(a["outer"], rel=1e-4, abs=1e-3)
            assert b["elbo"] == pytest.approx(a["elbo"], rel=1e-4, abs=1e-3)


OPTIONS = {"smc": {"islands": 4, "particles": 16}, "laplace": {"starts": 3},
           "laplace_dual": {"steps": 5},
           "mixture": {"particles": 64, "batch": 200, "max_samples": 400},
           "multistart": {"starts": 3, "steps": 5},
           "variational": {"steps": 5, "importance": 20, "starts": 3},
           "prequential": {"rows": 16, "replicas": 3, "stops": (0, 2)}}


def evidence(method: str, x, y):
    outputs = lambda w: torch.tanh(x @ w["in"]) @ w["out"]
    head = lambda out: -0.5 * (y - out).square().sum()
    row = lambda w, i: -0.5 * (y[i] - torch.tanh(x[i] @ w["in"]) @ w["out"]).square()
    more = {"laplace_dual": {"outputs": outputs, "head": head},
            "prequential": {"row_log_likelihood": row}}
    return estimate(lambda w: head(outputs(w)),
                    GaussianPrior({"in": (3, 2), "out": (2,)}, device=x.device), method=method,
                    generator=torch.Generator().manual_seed(0), **OPTIONS[method],
                    **more.get(method, {}))


@pytest.mark.parametrize("method", OPTIONS)
def test_an_estimator_finds_the_same_on_another_device(method):
    task = rows("gaussian", 16)
    own = evidence(method, task.x.double(), task.y.double())
    with emulated():
        found = evidence(method, task.x.double().to(DEVICE), task.y.double().to(DEVICE))
    assert (found.value, found.stderr) == pytest.approx((own.value, own.stderr), rel=1e-6,
                                                        nan_ok=True)


@pytest.mark.parametrize("learn", ("exact", "kronecker", "implicit"))
def test_the_dual_engine_finds_and_predicts_the_same(learn):
    task, graph = rows("gaussian"), graph_for("gaussian")
    plan, some = DualPlan(steps=10, every=5, learn=learn), list(graph.structures())[-3:]
    own = fit_dual(graph, some, task, plan, 0)
    with emulated():
        found = fit_dual(graph, some, there(task), plan, 0)
        assert torch.allclose(found.q.cpu(), own.q, rtol=1e-5)
        for a, b in zip(predict_dual(own, task.x), predict_dual(found, task.x.to(DEVICE))):
            assert torch.allclose(b.cpu(), a, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    "kind,more", [(StructureClassifier, {}), (StructureRegressor, {"judge": "laplace"}),
                                       (StructureRegressor, {"judge": "prequential"})])
def test_an_estimator_fits_predicts_and_is_saved_on_another_device(kind, more, tmp_path):
    task = rows("categorical" if kind is StructureClassifier else "gaussian")
    X, y = task.x.double().numpy(), task.y.numpy()
    short = {"hidden": (3,), "epochs": 2, "min_steps": 0, "screened": 3, "finalists": 2,
             "starts": 3, "samples": 4}
    answer = lambda m: m.predict_proba(X) if kind is StructureClassifier else np.stack(
        m.predict(X, return_std=True))
    own = answer(kind(**short, **more, random_state=0).fit(X, y))
    with emulated():
        model = kind(**short, **more, random_state=0, device=str(DEVICE)).fit(X, y)
        found = answer(model)
        model.save(tmp_path / "model")
        again, home = load(tmp_path / "model", device=str(DEVICE)), load(tmp_path / "model")
        assert np.array_equal(answer(again), found)
    assert np.allclose(answer(home), found, atol=1e-12) and np.allclose(own, found, atol=1e-3)


def test_a_search_resumes_on_another_device(tmp_path):
    task, graph = rows("categorical"), graph_for("categorical")

    def stop(record):
        if record["stage"] == "posterior":
            raise KeyboardInterrupt

    with emulated():
        own = search(graph, there(task), SHORT, 0)
        cut = search(graph, there(task), SHORT, 0, tmp_path / "run", stop)
        assert cut.interrupted
        same(own.ranking, search(graph, there(task), SHORT, 0, tmp_path / "run").ranking)


LEVELS = {"closed": {}, "units": {"grouping": "unit"}, "greedy": {"validation": 0.3},
          "unroll": {"validation": 0.3, "method": "unroll", "steps": 2}}


def trainer(kind: str, steps: int, device) -> Trainer:
    task, graph = rows("categorical"), graph_for("categorical")
    task = Task(task.x.to(device), task.y.to(device), task.likelihood)
    net, generator = Supernet(graph, share=kind != "stacked"), generator_of(0, kind)
    given = one_hot(net, list(graph.structures())[-3:],
                    device) if kind in ("given", "own") else None
    batch = make_batch(net, generator, [24, 24, 30], [1.0, 0.1, 0.01], given, device=device)
    plan = Plan(3, steps, 16, 1e-3, 1e-2)
    if kind in LEVELS:
        return BilevelTrainer(batch, task, plan, generator,
                              OuterPlan(c_prior=batch.c_reg, **LEVELS[kind]))
    return Trainer(batch, task, plan, generator if kind != "own"
                   else [generator_of(i, kind) for i in range(3)])


@pytest.mark.parametrize("kind", ("shared", "stacked", "given", "own", *LEVELS))
def test_a_step_of_training_copies_nothing_and_waits_for_nothing(kind):
    with emulated():
        few, many = (trainer(kind, steps, DEVICE) for steps in (1, 3))
        # the paths of the first half, the mixtures of the second, and what ends a training
        for _ in range(3):
            assert counted(few.run_epoch) == counted(many.run_epoch)


def test_a_step_of_the_race_copies_nothing_and_waits_for_nothing():
    graph = graph_for("categorical")
    with emulated():
        fits = Fits(graph, list(graph.structures())[-6:], there(rows("categorical")),
                    FitPlan((24, 48)), 0)
        at = torch.arange(16, device=DEVICE)
        fits.step(at)  # the places of the paths move once
        assert counted(lambda: fits.step(at)) == (0, 0)
        assert counted(lambda: fits.predict(24, 48)) == (0, 0)


def test_a_step_of_the_dual_engine_copies_nothing_and_waits_for_nothing():
    with emulated():
        task, graph = there(rows("gaussian")), graph_for("gaussian")
        fit = lambda steps: fit_dual(graph, list(graph.structures())[-3:], task,
                                     DualPlan(steps=steps), 0)
        assert counted(lambda: fit(2)) == counted(lambda: fit(6))


VARIABLES = (Simplex(("a", "b", "c"), "v"), Cube(("a", "b"), "v"), Ordered((1, 2, 4), name="v"),
             Ordered((1, 2, 4), law="normal", prior="geometric", name="v"))


@pytest.mark.parametrize("variable", VARIABLES, ids=lambda v: type(v).__name__)
def test_the_law_of_a_variable_is_the_same_on_another_device(variable):
    def numbers(device):
        law = {k: v + 0.1 for k, v in variable.start((5,), device).items()}
        noise = gumbel_noise((5, *variable.noise_shape),
                             torch.Generator().manual_seed(0)).to(device)
        point, one = variable.sample(law, noise, 0.5), {k: v[0] for k, v in law.items()}
        parts = (point, variable.log_sample(law, noise, 0.5), variable.nearest(point),
                 variable.kl(law), variable.kl(law, variable.start((5,), device), 1.0),
                 variable.entropy(law), variable.marginals(law))
        assert all(p.device.type == torch.device(device).type for p in parts)
        drawn = variable.draw(torch.Generator().manual_seed(0), variable.marginals(one).cpu())
        return [p.cpu() for p in parts], variable.harden(point[0]), variable.probabilities(
            one), drawn

    own = numbers("cpu")
    with emulated():
        found = numbers(DEVICE)
    assert all(torch.equal(a, b) for a, b in zip(own[0], found[0], strict=True))
    assert own[1:] == found[1:]


@pytest.mark.gpu
@pytest.mark.parametrize("likelihood,more", MODES, ids=lambda v: str(v))
def test_a_mode_finds_nearly_the_same_on_an_accelerator(likelihood, more):
    task, graph, settings = rows(likelihood), graph_for(likelihood), replace(SHORT, **more)
    named = lambda found: {tuple(r.structure.items()): r.evidence.value for r in found.ranking
                           if r.structure}
    own = named(search(graph, task, settings, 0))
    found = named(search(graph, Task(task.x.cuda(), task.y.cuda(), likelihood), settings, 0))
    assert found.keys() == own.keys()
    assert [*found.values()] == pytest.approx([own[k] for k in found], rel=1e-2, abs=0.05)


@pytest.mark.gpu
@pytest.mark.parametrize("kind", ("shared", "stacked", "given", "own", *LEVELS))
def test_a_step_on_an_accelerator_never_waits(kind, monkeypatch):
    made, name = trainer(kind, 4, "cuda"), "_advance" if kind in LEVELS else "_step"
    step = getattr(made, name)

    def watched(*args):
        torch.cuda.set_sync_debug_mode("error")
        try:
            return step(*args)
        finally:
            torch.cuda.set_sync_debug_mode("default")

    made.run_epoch()  # the places of the paths, and the moments of the optimiser
    monkeypatch.setattr(made, name, watched)
    made.run_epoch()
    made.run_epoch()
