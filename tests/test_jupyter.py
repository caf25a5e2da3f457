"""Notebooks in plain Jupyter: a fresh kernel in the notebook's folder, every cell from top to
bottom, and nothing of this project but the library.

A share runs that changes with the day: two weeks see the pages of Start, and four months see all
others; the slow test runs all at once. Every cell of every page runs each time in test_notebooks,
in a process that is prepared for it.
"""
import datetime
import os
import re
import subprocess
import sys

import pytest

from tools import nb as nbtext
from tools.check import ROOT
from tools.execute import FLAGS, directives
from tools.export import notebooks

EVERY = [f.relative_to(ROOT).as_posix() for f in notebooks(ROOT)]
START = [n for n in EVERY if n.startswith("nbs/start/")]
REST = [n for n in EVERY if n not in START]
DAY, DAYS, STARTS = datetime.date.today().toordinal(), 120, 14
TODAY = START[DAY % STARTS::STARTS] + REST[DAY % DAYS::DAYS]
SECONDS = 600  # of one cell, on a machine that does other work, too


def environment() -> dict[str, str]:
    "As a reader's: nothing that this project's own runners set."
    ours = ("IN_TEST", "BSTRUCT_SLOW", "MPLBACKEND")
    env = {k: v for k, v in os.environ.items() if k not in ours}
    return env | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}


def run_all(name: str) -> list:
    "The cells of a notebook after Run All; raises at the first that fails."
    import nbformat
    from nbclient import NotebookClient

    path = ROOT / name
    nb = nbformat.read(path, as_version=4)
    client = NotebookClient(nb, timeout=SECONDS, kernel_name="python3",
                            resources={"metadata": {"path": str(path.parent)}})
    client.execute(env=environment())
    return nb.cells


def check(name: str) -> None:
    stored = {c["id"]: c for c in nbtext.read(ROOT / name)["cells"]}
    for cell in run_all(name):
        if cell.cell_type == "code" and set(directives(cell.source)) & set(FLAGS):
            texts = "".join(o.get("text", "") for o in cell.outputs)
            assert re.match(r"\[a (slow|gpu) cell: ", texts), (name, cell.id)
            if "test" not in directives(cell.source) and stored[cell.id]["outputs"]:
                assert len(cell.outputs) >= len(stored[cell.id]["outputs"])


@pytest.mark.parametrize("name", TODAY)
def test_run_all(name):
    check(name)


@pytest.mark.slow
@pytest.mark.parametrize("name", [n for n in EVERY if n not in TODAY])
def test_run_all_of_the_others(name):
    check(name)


def test_four_months_see_every_notebook():
    shares = [START[day::STARTS] for day in range(STARTS)]
    shares += [REST[day::DAYS] for day in range(DAYS)]
    assert sorted(n for share in shares for n in share) == sorted(EVERY)


@pytest.mark.parametrize("name", TODAY[DAY // DAYS % len(TODAY)::3])
def test_nbdev_runs_it(name):
    "`nbdev_test` of one notebook, which skips what settings.ini tells it to."
    call = f"from nbdev.test import nbdev_test; nbdev_test({name!r}, n_workers=0)"
    done = subprocess.run([sys.executable, "-c", call], cwd=ROOT, capture_output=True, text=True,
                          env=environment(), timeout=SECONDS)
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
