"nbdev's own commands leave the tree as this project's tools made it."
import os
import shutil
import subprocess
import sys

import pytest

from tools.check import ROOT


def texts(folder) -> dict[str, bytes]:
    files = [f for part in ("nbs", "bstruct") for f in (folder / part).rglob("*")]
    return {f.relative_to(folder).as_posix(): f.read_bytes() for f in files
            if f.is_file() and "__pycache__" not in f.parts and f.suffix in (".py", ".ipynb")}


def names(folder) -> set[str]:
    files = {f.relative_to(folder).as_posix() for f in folder.rglob("*") if f.is_file()}
    return {f for f in files if "__pycache__" not in f}


# its own `nbdev_test` of every notebook is left out here; tests/test_jupyter.py runs a share each day
PREPARE = ("import nbdev.test; nbdev.test.nbdev_test.__wrapped__ = lambda: None; "
           "from nbdev.quarto import prepare; prepare()")
OWN = {"nbs/_quarto.yml", "nbs/nbdev.yml"}  # what nbdev writes for itself


@pytest.mark.parametrize("command", ["from nbdev.clean import nbdev_clean; nbdev_clean()",
                                     "from nbdev.doclinks import nbdev_export; nbdev_export()",
                                     PREPARE])
def test_a_command_changes_nothing(tmp_path, command):
    unwanted = shutil.ignore_patterns("__pycache__", ".ipynb_checkpoints")
    for part in ("nbs", "bstruct"):
        shutil.copytree(ROOT / part, tmp_path / part, ignore=unwanted)
    for name in ("settings.ini", "README.md"):
        shutil.copy(ROOT / name, tmp_path)
    os.utime(tmp_path / "README.md", (0, 0))  # older than every notebook
    before, files = texts(tmp_path), names(tmp_path)
    env = {k: v for k, v in os.environ.items() if k != "IN_TEST"}
    done = subprocess.run([sys.executable, "-P", "-c", command], cwd=tmp_path, env=env,
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    after = texts(tmp_path)
    assert [n for n in before.keys() | after.keys() if before.get(n) != after.get(n)] == []
    assert (tmp_path / "README.md").read_bytes() == (ROOT / "README.md").read_bytes()
    assert names(tmp_path) - files <= OWN <= set((ROOT / ".gitignore").read_text().split())
