"The search for a structure."
from .modes import Result, evidence_mode
from .settings import Settings

__all__ = ["Result", "Settings", "evidence_mode"]
