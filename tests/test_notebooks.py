"Every notebook runs from top to bottom, and its stored outputs are those of its cells."
import os
import subprocess
import sys

import pytest

from tools.check import ROOT
from tools.export import notebooks


@pytest.mark.parametrize("path", [f.relative_to(ROOT).as_posix() for f in notebooks(ROOT)])
def test_runs_and_is_in_step(path):
    env = os.environ | {"OMP_NUM_THREADS": "1", "MPLBACKEND": "agg"}
    command = [sys.executable, "-m", "tools.execute", path]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-4000:]
