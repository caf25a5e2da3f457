"The search for a structure."
from .evidence_mode import evidence_mode
from .run import Result
from .settings import Settings

__all__ = ["Result", "Settings", "evidence_mode"]
