"The derivative of a trained model's loss with respect to its hyperparameters, by every method."
from bstruct.hypergradient import (
    drmad, forward, greedy, implicit, neumann, reversible, truncated, unroll)
from bstruct.hypergradient.call import Hypergradient, hypergradient, register
from bstruct.hypergradient.optimise import optimise

__all__ = ["Hypergradient", "hypergradient", "optimise", "register"]  # importing a method registers it
