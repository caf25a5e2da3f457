"What may vary in a model: one variable, its law, and all variables of a graph together."
from .cube import Cube
from .ordered import Ordered
from .simplex import Simplex
from .variable import Variable

__all__ = ["Cube", "Ordered", "Simplex", "Variable"]
