"Every notebook runs from top to bottom, and its stored outputs are those of its cells."
import json
import os
import subprocess
import sys

import pytest

from tools.check import ROOT
from tools.export import notebooks


@pytest.fixture(scope="session")
def server():
    """The process from which each notebook's own is forked: one a worker, without the hook that
    checks annotations here."""
    env = os.environ | {"OMP_NUM_THREADS": "1", "MPLBACKEND": "agg"}
    command = [sys.executable, "-m", "tools.execute", "--serve"]
    with subprocess.Popen(command, cwd=ROOT, env=env, text=True,
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        yield process
        process.stdin.close()


@pytest.mark.parametrize("path", [f.relative_to(ROOT).as_posix() for f in notebooks(ROOT)])
def test_runs_and_is_in_step(server, path):
    print(path, file=server.stdin, flush=True)
    answer = server.stdout.readline()
    assert answer, f"the server ended with status {server.wait()}"
    assert json.loads(answer) == {"notebook": path, "wrong": ""}, json.loads(
        answer)["wrong"][-4000:]
