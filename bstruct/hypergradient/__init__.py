"The derivative of a trained model's loss with respect to its hyperparameters, by every method of the field."
from bstruct.hypergradient import drmad, forward, greedy, implicit, neumann, reversible, truncated, unroll
from bstruct.hypergradient.inner import Hypergradient, hypergradient, register

__all__ = ["Hypergradient", "hypergradient", "register"]  # the methods register as their modules are imported
