"Shape annotations are checked here, and only here: beartype on every function of the library."
import gc
import os
import sys
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.append(str(Path(__file__).parent))

import pytest
import torch
from annotations import install
from hypothesis import settings

install()
torch.set_num_threads(1)
settings.register_profile("bstruct", deadline=None, derandomize=True, max_examples=50)
settings.load_profile("bstruct")


def pytest_collection_finish():
    "What is imported by now stays: no search for garbage, here or in a fork, looks it through."
    gc.collect()
    gc.freeze()


@pytest.fixture
def plain_figures(monkeypatch):
    "Figures of reports drawn once, as SVG and without a layout: for tests of other things."
    from bstruct.use import plots

    whole = plots.as_image

    def drawn(figure, kind):
        figure.set_layout_engine("none")
        return whole(figure, kind) if kind == "svg" else b"no pixels"

    monkeypatch.setattr(plots, "as_image", drawn)
