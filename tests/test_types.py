"""The annotations are consistent, and the lines that users write check against them: pyright in
its basic mode."""
import importlib.util
import json
import subprocess
import sys

import pytest

from tools.check import ROOT

pytestmark = pytest.mark.skipif(importlib.util.find_spec("basedpyright") is None,
                                reason="basedpyright is not installed: make setup, or pip install "
                                       "-e '.[dev]'")


@pytest.fixture(scope="module")
def errors():
    """What pyright finds, as file, line and message; settings and the files left out stand in
    pyrightconfig.json."""
    command = [sys.executable, "-m", "basedpyright", "--project", str(ROOT), "--pythonpath",
               sys.executable, "--outputjson"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.lstrip().startswith("{"), done.stderr
    found = json.loads(done.stdout)
    assert found["summary"]["filesAnalyzed"] > 50
    return [(f["file"].removeprefix(f"{ROOT}/"), f["range"]["start"]["line"] + 1, f["message"])
            for f in found["generalDiagnostics"] if f["severity"] == "error"]


def test_the_package_is_consistent(errors):
    assert [e for e in errors if not e[0].startswith("tests")] == []


def test_what_users_write_is_understood(errors):
    assert [e for e in errors if e[0].startswith("tests")] == []
