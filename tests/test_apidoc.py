"The table of parameters says what signature, docstring and comments say."
import ast

import pytest

from tools.apidoc import entries, table

SOURCE = '''
def f(a, b: int = 3, *rest: float, c: "Graph | None" = None, **options):
    """What it does.

    `a`: a path; `b`, `c`: how many, in nats. The `rest` is added.
    """

@dataclass
class Plan:
    "A plan; `steps`: of training."
    lr: float = 0.1  # learning rate
    steps: int = 5
    # where it computes
    device: str = "cpu"
    names: ClassVar[int] = 1

class Own:
    def __init__(self, width: int, seed=0):
        "`width`: of the layer."

def bare(xx): return xx

def numpydoc(a):
    """Text.

    Parameters
    ----------
    a : int
    """
'''
TREE = {n.name: n for n in ast.parse(SOURCE).body}


@pytest.mark.parametrize("name, want", {
    "f": [("a", "", "", "a path"), ("b", "int", "3", "how many, in nats"),
          ("c", "Graph | None", "None", "how many, in nats"),
          ("rest", "float", "", "The `rest` is added"),
          ("options", "", "", "passed on")],
    "Plan": [("lr", "float", "0.1", "learning rate"), ("steps", "int", "5", "of training"),
             ("device", "str", "'cpu'", "where it computes")],
    "Own": [("width", "int", "", "of the layer"), ("seed", "", "0", "of everything that is drawn")],
    "bare": [("xx", "", "", "")]}.items())
def test_entries(name, want):
    assert entries(TREE[name], SOURCE) == want


def test_table():
    lines = table(TREE["f"], SOURCE).splitlines()
    assert lines[0] == "| parameter | type | default | meaning |" and len(lines) == 7
    assert lines[4] == r"| `c` | <code>Graph &#124; None</code> | `None` | how many, in nats |"
    assert table(TREE["bare"], SOURCE) == table(TREE["numpydoc"], SOURCE) == ""
