"""What `python -m build` makes can be released: sdist and wheel install into an environment of
their own and work there."""
import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest

from tools.check import ROOT

SMOKE = """
import importlib.metadata, importlib.resources, pathlib, sys
import bstruct
from bstruct.use import cli, report
from sklearn.datasets import load_iris
assert pathlib.Path(bstruct.__file__).is_relative_to(sys.prefix), bstruct.__file__
assert bstruct.__version__ == importlib.metadata.version("bstruct")
assert (importlib.resources.files("bstruct") / "py.typed").is_file()
X, y = load_iris(return_X_y=True)
model = bstruct.StructureClassifier(epochs=2, min_steps=20, starts=1, tempering=(0.1,), screened=2,
                                    finalists=1, blocks=1, hidden=(4,),
                                    random_state=0).fit(X[:, :2], y)
print(model.predict(X[:1, :2]).shape, len(model.ranking_))
"""


def called(*command, **options):
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, **options)
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    return done.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    "Sdist and the wheel made from it, of what the repository holds and nothing that lies about."
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("dist")
    shutil.copytree(ROOT / "bstruct", source / "bstruct",
                    ignore=shutil.ignore_patterns("__pycache__"))
    for file in ROOT.iterdir():
        if file.is_file():
            shutil.copy(file, source)
    called(sys.executable, "-m", "build", "--no-isolation", "--outdir", out, source)
    sdist, wheel = sorted(out.iterdir(), key=lambda f: f.suffix == ".whl")
    return {"sdist": sdist, "wheel": wheel}


def test_sdist_and_wheel_hold_every_module_and_the_mark_of_types(built):
    wanted = {f.relative_to(ROOT).as_posix()
              for f in (ROOT / "bstruct").rglob("*.py")} | {"bstruct/py.typed"}
    with zipfile.ZipFile(built["wheel"]) as wheel:
        names = {n for n in wheel.namelist() if ".dist-info/" not in n}
        about = Parser().parsestr(
            wheel.read(next(n for n in wheel.namelist() if n.endswith("METADATA"))).decode())
    assert names == wanted
    with tarfile.open(built["sdist"]) as sdist:
        names = {n.partition("/")[2] for n in sdist.getnames()}
    assert wanted | {"settings.ini", "setup.py", "README.md", "LICENSE"} <= names
    assert "Typing :: Typed" in about.get_all("Classifier") and about["License"] == "Apache-2.0"
    assert len(about.get_all("Project-URL")) == 4 and about["Requires-Python"] == ">=3.11"
    assert any(r.startswith("filelock") for r in about.get_all("Requires-Dist"))


def only(folder, *packages):
    "A folder that offers these packages of our environment and no other."
    site = Path(sysconfig.get_path("purelib"))
    for name in packages:
        for found in site.glob(f"{name}*"):
            (folder / found.name).symlink_to(found)
    return folder


@pytest.fixture
def env(tmp_path):
    "An environment that sees nothing of ours but what packages are made with."
    (tmp_path / "tools").mkdir()
    plain = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    return plain | {"PYTHONPATH": str(only(tmp_path / "tools", "setuptools", "wheel",
                                           "_distutils_hack"))}


def test_pip_makes_the_same_wheel_from_the_sdist(built, env, tmp_path):
    called(sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--no-index",
           "--wheel-dir", tmp_path, built["sdist"], env=env)
    again = next(tmp_path.glob("*.whl"))
    assert again.name == built["wheel"].name
    ours, theirs = ({i.filename: i.CRC for i in zipfile.ZipFile(w).infolist()
                     if not i.filename.endswith(("RECORD", "WHEEL"))}
                    for w in (built["wheel"], again))
    assert ours == theirs


def test_it_installs_and_works_in_an_environment_of_its_own(built, env, tmp_path):
    venv.create(tmp_path / "venv")
    python = tmp_path / "venv" / "bin" / "python"
    called(sys.executable, "-m", "pip", "--python", python, "install", "--no-deps",
           "--no-compile", "--no-build-isolation", "--no-index", built["wheel"], env=env)
    del env["PYTHONPATH"]
    site = Path(called(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))",
                       env=env).strip())
    # after the installation: torch is large
    ours = [p for p in sys.path if p.endswith("-packages")]
    (site / "dependencies.pth").write_text("\n".join(ours))
    told = called(python, "-W", "ignore", "-c", SMOKE, cwd=tmp_path, env=env)
    assert told.strip() == "(1,) 4"  # two structures, the constant and the linear model
    assert "usage: bstruct" in called(python.with_name("bstruct"), "--help", cwd=tmp_path, env=env)
