__version__ = "0.1.0"
"Choose the structure of a neural network, and have a reason for the choice."
from typing import TYPE_CHECKING, Any

from .model import Graph, Supernet
from .search import Settings

if TYPE_CHECKING:
    from .use.compare import compare
    from .use.comparison import Comparison
    from .use.estimators import StructureClassifier, StructureRegressor, load

__all__ = ["Comparison", "Graph", "Settings", "StructureClassifier",
           "StructureRegressor", "Supernet", "compare", "load"]

# scikit-learn comes with the first of these: who only fits networks has no use for it
_LATER = {"Comparison": "comparison", "StructureClassifier": "estimators",
          "StructureRegressor": "estimators", "compare": "compare",
          "load": "estimators"}


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    found = getattr(import_module(f"bstruct.use.{_LATER[name]}"), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
