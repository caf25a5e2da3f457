"The tables of the comparison, split once and for all."
from dataclasses import dataclass

import numpy as np
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_iris, load_wine
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

NAMES = ("digits", "diabetes", "mnist1d")
TOYS = {"digits": load_digits, "diabetes": load_diabetes, "wine": load_wine, "iris": load_iris,
        "breast_cancer": load_breast_cancer}


@dataclass(frozen=True)
class Table:
    "A split table; `raw` inputs for estimators that standardise themselves, scaled ones for those that do not."

    name: str
    raw: tuple[np.ndarray, np.ndarray]
    scaled: tuple[np.ndarray, np.ndarray]
    y: tuple[np.ndarray, np.ndarray]

    @property
    def regression(self) -> bool:
        return self.y[0].dtype.kind == "f"

    @property
    def outputs(self) -> int:
        return 1 if self.regression else len(np.unique(self.y[0]))

    def head(self, train: int, test: int) -> "Table":
        "The first rows of both parts."
        cut = lambda pair: (pair[0][:train], pair[1][:test])
        return Table(self.name, cut(self.raw), cut(self.scaled), cut(self.y))


def standardised(train: np.ndarray, test: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    scaler = StandardScaler().fit(train)
    return scaler.transform(train), scaler.transform(test)


def load(name: str, split: int = 0) -> Table:
    """digits (divided by 16), other tables of scikit-learn (standardised), with 25 % test and random_state `split`;
    mnist1d with the package's own split.

    SystemExit where the package mnist1d is not installed.
    """
    if name == "mnist1d":
        try:
            from mnist1d.data import get_dataset_args, make_dataset
        except ImportError:
            raise SystemExit("mnist1d is not installed: pip install mnist1d, or take --data digits") from None
        d = make_dataset(get_dataset_args())
        raw = d["x"], d["x_test"]
        return Table(name, raw, standardised(*raw), (d["y"], d["y_test"]))
    X, y = TOYS[name](return_X_y=True)
    train, test, y_train, y_test = train_test_split(X, y, random_state=split)
    scaled = (train / 16, test / 16) if name == "digits" else standardised(train, test)
    return Table(name, (train, test), scaled, (y_train, y_test))
