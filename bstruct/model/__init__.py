"Graphs, candidate functions and the functional forward pass."
from . import coded, ordered
from .candidates import Candidate, Weight, candidate, known_candidates, register
from .drawing import draw, to_dot, to_svg
from .graph import Edge, Graph, Vertex
from .presets import cell, convolutional, cube, dense, polynomial
from .supernet import Supernet
from .usage import parameters, usage

__all__ = ["Candidate", "Edge", "Graph", "Supernet", "Vertex", "Weight", "candidate", "cell", "convolutional", "cube",
           "dense", "draw", "known_candidates", "parameters", "polynomial", "register", "to_dot", "to_svg",
           "usage"]
