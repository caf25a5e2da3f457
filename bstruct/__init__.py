__version__ = "0.1.0"
"Choose the structure of a neural network, and have a reason for the choice."
from .model import Graph, Supernet
from .search import Settings
from .use.compare import compare
from .use.comparison import Comparison
from .use.estimators import StructureClassifier, StructureRegressor, load

__all__ = ["Comparison", "Graph", "Settings", "StructureClassifier", "StructureRegressor",
           "Supernet", "compare", "load"]
