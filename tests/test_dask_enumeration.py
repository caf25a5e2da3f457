"""A dask cluster of several worker processes gives the ranking that one process gives."""
import os

import joblib
import pytest
import torch

from bstruct.model.candidates import Candidate, candidate
from bstruct.model.graph import Graph
from bstruct.search.modes.enumeration import enumerate_structures
from bstruct.search.settings import Settings
from bstruct.objectives.task import Task

distributed = pytest.importorskip("distributed")

SETTINGS = Settings(mode="enumerate", epochs=2, min_steps=10, starts=2, tempering=(1.0,))


def traced(folder):
    """A candidate that no worker knows; each process that applies it leaves its number in the
    folder."""
    def apply(weights, x, out):
        open(f"{folder}/{os.getpid()}", "a").close()
        return x @ weights["weight"] + weights["bias"]
    return Candidate("traced_by_dask", candidate("linear").weights, apply)


def table(ranking):
    return [(r["structure"], r["evidence"].to_dict(), r["probability"]) for r in ranking.rows]


def test_a_cluster_of_two_processes_gives_the_same_ranking(tmp_path):
    x = torch.randn(64, 3, generator=torch.Generator().manual_seed(0))
    task = Task(x, (x[:, 1] > torch.sin(2 * x[:, 0])).long(), "categorical")
    names = ("zero", "linear+relu", "linear+tanh", "linear+sin", traced(tmp_path))
    graph = Graph({"x": 3, "h1": 16, "h2": 16, "y": 2},
                  {"x->h1": names, "x->h2": names, "h1->h2": names, "h2->y": ("linear",)})
    alone = table(enumerate_structures(graph, task, settings=SETTINGS, seed=5, order="given"))
    assert [int(f.name) for f in tmp_path.iterdir()] == [os.getpid()]
    with (distributed.LocalCluster(n_workers=2, threads_per_worker=1, processes=True,
                                   dashboard_address=None, local_directory=str(
                                       tmp_path.with_name("dask"))) as cluster,
          distributed.Client(cluster) as client, joblib.parallel_config("dask")):
        workers = set(client.run(os.getpid).values())
        found = enumerate_structures(graph, task, settings=SETTINGS, seed=5, order="given")
    assert table(found) == alone and len(found) == 125
    assert len(workers) == 2
    assert {int(f.name) for f in tmp_path.iterdir()} == {os.getpid(), *workers}
