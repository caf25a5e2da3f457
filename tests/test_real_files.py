"""Files as packages ship them, fitted by one command each; nothing is edited, and nothing is said
but `--yes`.

They are those of scikit-learn, matplotlib, statsmodels and vega_datasets that are installed; a
package that is not is skipped.
"""
from importlib.util import find_spec
from pathlib import Path

import pytest

from bstruct.use.table.checkup import cured
from bstruct.use.cli import main
from bstruct.use.flow import prepare

FAST = ("--hidden 4 --candidates linear linear+relu --epochs 1 --min-steps 10 --starts 1 "
        "--finalists 1 --replicas 1 --blocks 1 --samples 4 --tempering 1.0 --screened "
        "2 --quiet").split()
FILES = [
    *(("sklearn", f"datasets/data/{name}") for name in (
        "iris.csv", "breast_cancer.csv", "wine_data.csv", "digits.csv.gz", "linnerud_exercise.csv",
                                                        "diabetes_data_raw.csv.gz")),
    *(("matplotlib", f"mpl-data/sample_data/{name}") for name in ("msft.csv", "Stocks.csv")),
    *(("statsmodels", f"datasets/{name}.csv") for name in (
        "anes96/anes96", "cancer/cancer", "ccard/ccard", "committee/committee", "cpunish/cpunish",
                                                           "elnino/elnino", "engel/engel",
        "fair/fair", "grunfeld/grunfeld", "heart/heart", "longley/longley", "macrodata/macrodata",
                                                           "modechoice/modechoice",
        "scotland/scotvote", "spector/spector", "stackloss/stackloss", "star98/star98",
                                                           "statecrime/statecrime")),
    *(("vega_datasets", f"_data/{name}.csv")
      for name in ("airports", "la-riots", "seattle-weather", "stocks", "us-employment")),
]


def place(package: str, file: str) -> Path:
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        pytest.skip(f"{package} is not installed")
    path = Path(spec.origin).parent / file
    if not path.exists():
        pytest.skip(f"this {package} has no {file}")
    return path


@pytest.mark.parametrize("package, file", FILES)
def test_a_file_becomes_arrays_without_a_hand_on_it(package, file):
    data = {"source": str(place(package, file)), "target": None, "drop": [], "categorical": [],
            "impute": False, "test": None, "test_size": None, "task": None}
    found = prepare(cured(data)[0], 0)
    assert len(found.X) == len(found.y) > 1 and found.X.shape[1] > 0


@pytest.mark.slow
@pytest.mark.parametrize("package, file", FILES)
def test_a_file_is_fitted_by_one_command(package, file, tmp_path):
    path = place(package, file)
    assert main(["fit", str(path), "--yes", "--out", str(tmp_path / "run"), *FAST]) == 0
    assert main(["predict", str(tmp_path / "run"), str(path), "--impute", "--out",
                 str(tmp_path / "p.csv"), "--quiet"]) == 0
