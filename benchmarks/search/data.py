"The tables of the comparison, split and scaled once and for all."
from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.preprocessing import StandardScaler

from bstruct.experiments.collection import load_entry
from bstruct.use.table.data import DataError
from bstruct.use.table.encoder import TableEncoder

NAMES = ("digits", "diabetes", "mnist1d")


@dataclass(frozen=True)
class Table:
    """A split table; `raw` inputs for estimators that standardise themselves, scaled ones for
    those that do not. Raw inputs are frames where columns hold words or holes."""

    name: str
    raw: tuple[np.ndarray | pd.DataFrame, np.ndarray | pd.DataFrame]
    scaled: tuple[np.ndarray, np.ndarray]
    y: tuple[np.ndarray, np.ndarray]

    @property
    def regression(self) -> bool:
        return self.y[0].dtype.kind == "f"

    @property
    def outputs(self) -> int:
        return 1 if self.regression else len(np.unique(self.y[0]))

    @property
    def typed(self) -> tuple[np.ndarray | pd.DataFrame, np.ndarray | pd.DataFrame]:
        "The raw inputs; columns of words are categories, those of the training rows."
        learn, test = self.raw
        if isinstance(learn, np.ndarray):
            return self.raw
        words = learn.select_dtypes(exclude="number").columns
        kinds = {c: pd.CategoricalDtype(sorted(learn[c].dropna().unique())) for c in words}
        known = test.assign(**{c: test[c].where(test[c].isin(k.categories))
                               for c, k in kinds.items()})
        return learn.astype(kinds), known.astype(kinds)

    def head(self, train: int, test: int) -> "Table":
        "The first rows of both parts."
        cut = lambda pair: (pair[0][:train], pair[1][:test])
        return Table(self.name, cut(self.raw), cut(self.scaled), cut(self.y))


def standardised(train: np.ndarray, test: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    scaler = StandardScaler().fit(train)
    return scaler.transform(train), scaler.transform(test)


def load(name: str, split: int = 0, words: tuple[str, ...] = ()) -> Table:
    """digits (divided by 16), other tables of the collection (standardised, words as columns of 0
    and 1), with 25 % test and random_state `split`; mnist1d with the package's own split.
    `words`: columns of numbers that are to be taken as names.

    SystemExit where the package of the table is not installed.
    """
    try:
        entry = load_entry(name)
    except DataError as error:
        raise SystemExit(f"{error}, or take --data digits") from None
    y, (learn, test) = entry.y.to_numpy(), entry.split(split)
    answers = y[learn], y[test]
    frame = entry.X.assign(**{c: c + entry.X[c].astype(str) for c in words})
    if entry.holes or len(frame.select_dtypes(exclude="number").columns):
        parts = frame.iloc[learn], frame.iloc[test]
        encoder = TableEncoder(impute=True).fit(parts[0])
        return Table(name, parts, standardised(*map(encoder.transform, parts)), answers)
    X = entry.X.to_numpy()
    raw = X[learn], X[test]
    scaled = (raw[0] / 16, raw[1] / 16) if name == "digits" else standardised(*raw)
    return Table(name, raw, scaled, answers)
