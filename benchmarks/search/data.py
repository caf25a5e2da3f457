"The tables of the comparison, split and scaled once and for all."
from dataclasses import dataclass

import numpy as np
from sklearn.preprocessing import StandardScaler

from bstruct.experiments.collection import load_entry
from bstruct.use.table.data import DataError

NAMES = ("digits", "diabetes", "mnist1d")


@dataclass(frozen=True)
class Table:
    """A split table; `raw` inputs for estimators that standardise themselves, scaled ones for
    those that do not."""

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
    """digits (divided by 16), other tables of the collection (standardised), with 25 % test and
    random_state `split`; mnist1d with the package's own split.

    SystemExit where the package mnist1d is not installed.
    """
    try:
        entry = load_entry(name)
    except DataError as error:
        raise SystemExit(f"{error}, or take --data digits") from None
    X, y = entry.X.to_numpy(), entry.y.to_numpy()
    learn, test = entry.split(split)
    raw = X[learn], X[test]
    scaled = (raw[0] / 16, raw[1] / 16) if name == "digits" else standardised(*raw)
    return Table(name, raw, scaled, (y[learn], y[test]))
