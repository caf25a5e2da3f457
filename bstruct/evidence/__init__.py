"Evidence of a model, in nats, with an error that holds."
from bstruct.evidence import (  # registers
    integrated, laplace, laplace_dual, mixture, multistart, smc, variational)
from bstruct.evidence.closed_form import linear_evidence
from bstruct.evidence.core import Evidence, GaussianPrior, estimate, methods, register
from bstruct.evidence.of_module import of_module
from bstruct.evidence.referee import referee

__all__ = ["Evidence", "GaussianPrior", "estimate", "linear_evidence", "methods", "of_module",
           "referee", "register"]
