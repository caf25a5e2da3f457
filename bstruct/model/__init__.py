"Graphs, candidate functions and the functional forward pass."
from .candidates import Candidate, candidate, register
from .graph import Graph
from .supernet import Supernet

__all__ = ["Candidate", "Graph", "Supernet", "candidate", "register"]
