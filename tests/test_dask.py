"""A dask cluster of two worker processes gives, in every mode, what one process gives, to the
bit."""
import os
from unittest.mock import patch

import joblib
import pytest
import torch

from bstruct.model.candidates import Candidate, candidate
from bstruct.model.graph import Graph
from bstruct.model.ordered import ordered
from bstruct.objectives.task import Task
from bstruct.search.modes.enumeration import enumerate_structures
from bstruct.search.modes.family import search
from bstruct.search.modes.widths import widths_mode
from bstruct.search.settings import Settings
from bstruct.testing.notebook import names_of
from bstruct.use.compare import compare

distributed = pytest.importorskip("distributed")

SETTINGS = Settings(mode="enumerate", epochs=2, min_steps=10, starts=2, tempering=(1.0,))
QUICK = dict(epochs=1, min_steps=8, starts=1, tempering=(1.0,), samples=4, replicas=1)
NAMES = ("zero", "linear", "linear+tanh", "linear+sin")
SMALL = Graph.dense(3, 1, (5,), NAMES)
LARGE = Graph.dense(3, 1, (4, 3), NAMES)


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    with (distributed.LocalCluster(n_workers=2, threads_per_worker=1, processes=True,
                                   dashboard_address=None,
                                   local_directory=str(tmp_path_factory.mktemp("dask"))) as cluster,
          distributed.Client(cluster) as one):
        yield one


def counts(client):
    "How many calls each worker has answered."
    return [*client.run(lambda dask_worker: dask_worker.state.executed_count).values()]


def rows(law, n=60):
    x = torch.randn(n, 3, generator=torch.Generator().manual_seed(0))
    y = torch.sin(2 * x[:, 0]) + 0.1 * x[:, 1]
    return Task(x, (y > 0).long() if law == "categorical" else y, law)


def told(found, task):
    "Ranking, path and prediction of a search."
    line = lambda r: (r.structure, r.name, r.evidence.to_dict(), r.probability, r.what, r.error)
    predicted = found.mixture.predict(task.x) if found.mixture else [
        v for b in found.batches for v in b.params.values()]
    return ([*map(line, found.ranking)], [*map(line, found.path)], found.notes,
            found.probabilities, [v.tolist() for v in predicted])


def classes_of(graph):
    return Graph.dense(3, 2, tuple(v.shape for v in graph.vertices[1:-1]), NAMES)


MODES = {"evidence by laplace": (SMALL, "gaussian", {"judge": "laplace"}),
         "evidence by short fits": (LARGE, "gaussian", {"judge": "laplace", "screened": 2}),
         "evidence in orders": (SMALL, "student", {}),
         "evidence by prequential": (SMALL, "gaussian", {"judge": "prequential"}),
         "evidence by ensembles": (classes_of(SMALL), "categorical", {}),
         "evidence by short ensembles": (classes_of(LARGE), "categorical", {"screened": 3}),
         "grow by laplace": (SMALL, "gaussian", {"mode": "grow", "judge": "laplace"}),
         "grow": (SMALL, "gaussian", {"mode": "grow", "judge": "prequential"}),
         "shrink by laplace": (SMALL, "gaussian", {"mode": "shrink", "judge": "laplace"}),
         "shrink": (SMALL, "gaussian", {"mode": "shrink", "judge": "prequential"}),
         "enumerate by laplace": (SMALL, "gaussian", {"mode": "enumerate", "judge": "laplace"}),
         "enumerate by ensembles": (classes_of(SMALL), "categorical", {"mode": "enumerate"}),
         "enumerate": (LARGE, "gaussian", {"mode": "enumerate", "judge": "prequential"}),
         "path": (ordered(3, 1, ("1..2:poisson:1",)), "gaussian", {"mode": "path"}),
         "flow": (ordered(3, 1, ("1..2:poisson:1",)), "gaussian", {"mode": "flow"})}


@pytest.mark.parametrize("name", MODES)
def test_every_mode_is_spread_and_ends_as_by_one_process(client, name):
    graph, law, more = MODES[name]
    task, settings = rows(law), Settings(**QUICK | more)
    # the fits of a width, which are too short to be sent, and fewer steps of the flow
    some = {"WORTH": -1.0, "PASSES": {"path": 5, "flow": 2}}
    with patch.dict(names_of(widths_mode), some):
        alone, before = told(search(graph, task, settings, 3), task), counts(client)
        with joblib.parallel_config("dask"):
            found = told(search(graph, task, settings, 3), task)
    assert found == alone
    assert all(a < b for a, b in zip(before, counts(client))), "a worker had nothing to do"


def test_models_are_compared_by_a_cluster(client):
    task = rows("gaussian")
    models = {name: (SMALL, {"x->h1": name}) for name in NAMES[1:]}
    asked = lambda: compare(models, task.x.numpy(), task.y.numpy(), orders=2, replicas=1,
                            method="laplace", rows=(30, 45))
    alone, before = asked(), counts(client)
    with joblib.parallel_config("dask"):
        found = asked()
    assert torch.equal(found.log_p, alone.log_p)
    assert sum(counts(client)) > sum(before)


def traced(folder):
    """A candidate that no worker knows; each process that applies it leaves its number in the
    folder."""
    def apply(weights, x, out):
        open(f"{folder}/{os.getpid()}", "a").close()
        return x @ weights["weight"] + weights["bias"]
    return Candidate("traced_by_dask", candidate("linear").weights, apply)


def table(ranking):
    return [(r["structure"], r["evidence"].to_dict(), r["probability"]) for r in ranking.rows]


def test_a_cluster_of_two_processes_gives_the_same_ranking(client, tmp_path):
    x = torch.randn(64, 3, generator=torch.Generator().manual_seed(0))
    task = Task(x, (x[:, 1] > torch.sin(2 * x[:, 0])).long(), "categorical")
    names = ("zero", "linear+relu", "linear+tanh", "linear+sin", traced(tmp_path))
    graph = Graph({"x": 3, "h1": 16, "h2": 16, "y": 2},
                  {"x->h1": names, "x->h2": names, "h1->h2": names, "h2->y": ("linear",)})
    alone = table(enumerate_structures(graph, task, settings=SETTINGS, seed=5, order="given"))
    assert [int(f.name) for f in tmp_path.iterdir()] == [os.getpid()]
    workers = set(client.run(os.getpid).values())
    with joblib.parallel_config("dask"):
        found = enumerate_structures(graph, task, settings=SETTINGS, seed=5, order="given")
    assert table(found) == alone and len(found) == 125
    assert len(workers) == 2
    assert {int(f.name) for f in tmp_path.iterdir()} == {os.getpid(), *workers}
