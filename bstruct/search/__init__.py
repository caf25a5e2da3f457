"The search for a structure."
from .modes.evidence import evidence_mode
from .result import Result
from .settings import Settings

__all__ = ["Result", "Settings", "evidence_mode"]
