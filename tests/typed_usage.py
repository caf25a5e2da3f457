"Lines that users write. Nothing runs them: pyright must understand each, with nothing to ignore."
import numpy as np
import pandas as pd

from bstruct import Graph, StructureClassifier, load


def used(X: np.ndarray, y: np.ndarray) -> pd.DataFrame:
    graph: Graph = Graph.dense(4, 3, (8,), ("zero", "linear", "linear+tanh"))
    model = StructureClassifier(graph=graph, epochs=2).fit(X, y)
    model.save("model")
    model.plot("ranking")
    structure: dict[str, str] = model.structure_
    print(structure, load("model").predict(X))
    return model.to_frame()
