"""Files as packages ship them, fitted by one command each; nothing is edited, and nothing is said
but `--yes`.

They are those of scikit-learn, matplotlib, statsmodels and vega_datasets that are installed; a
package that is not is skipped.
"""
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from bstruct.use.table.checkup import cured
from bstruct.use.cli import main
from bstruct.use.flow import prepare
from bstruct.use.table.data import dialect_of, load_table

pytestmark = pytest.mark.usefixtures("plain_figures")
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


@pytest.mark.parametrize("suffix, needs", [(".xlsx", "openpyxl"), (".feather", "pyarrow"),
                                           (".parquet", "pyarrow")])
@pytest.mark.parametrize("package, file", [("sklearn", "datasets/data/linnerud_exercise.csv"),
                                           ("matplotlib", "mpl-data/sample_data/Stocks.csv"),
                                           ("statsmodels", "datasets/fair/fair.csv"),
                                           ("vega_datasets", "_data/seattle-weather.csv")])
def test_a_table_is_the_same_in_other_formats(package, file, suffix, needs, tmp_path):
    "A real table, written as a workbook or by arrow, gives the arrays that its text gives."
    pytest.importorskip(needs)
    data = {"source": str(place(package, file)), "target": None, "drop": [], "categorical": [],
            "impute": True, "test": None, "test_size": None, "task": None}
    data = cured(data)[0]
    table = load_table(data["source"], data["target"], drop=data["drop"],
                       dialect=dialect_of(data))
    frame = table.X.assign(**{str(table.target.name): table.target})
    path = tmp_path / f"t{suffix}"
    write = {".xlsx": lambda: frame.to_excel(path, index=False),
             ".feather": lambda: frame.to_feather(path), ".parquet": lambda: frame.to_parquet(path)}
    write[suffix]()
    one, two = prepare(data, 0), prepare(data | {"source": str(path), "drop": []}, 0)
    np.testing.assert_allclose(two.X, one.X, rtol=1e-12, atol=1e-12)
    assert two.y.tolist() == one.y.tolist() and two.facts["task"] == one.facts["task"]
