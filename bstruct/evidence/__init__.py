"Evidence of a model, in nats, with an error that holds."
from bstruct.evidence.core import Evidence, GaussianPrior, estimate, methods, register

__all__ = ["Evidence", "GaussianPrior", "estimate", "methods", "register"]
