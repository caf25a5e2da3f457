"The table of parameters says what signature, docstring and comments say."
import ast

import pytest

from tools.apidoc import entries, table
from tools.quarto_filter import documented, untold
from tools.signature import cell, fields

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
    # where it computes, as torch
    # names it
    device: str = "cpu"
    names: ClassVar[int] = 1

class Own:
    def __init__(self, width: int, seed=0):
        "`width`: of the layer."

def bare(xx): return xx

def none(): return 1

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
             ("device", "str", "'cpu'", "where it computes, as torch names it")],
    "Own": [("width", "int", "", "of the layer"), ("seed", "", "0", "of everything that is drawn")],
    "bare": [("xx", "", "", "")]}.items())
def test_entries(name, want):
    assert entries(TREE[name], SOURCE) == want


def test_table():
    lines = table(TREE["f"], SOURCE).splitlines()
    assert lines[0] == "| parameter | type | default | meaning |" and len(lines) == 7
    assert lines[4] == r"| `c` | <code>Graph &#124; None</code> | `None` | how many, in nats |"
    assert table(TREE["bare"], SOURCE).splitlines()[2:] == ["| `xx` |  |  |  |"]
    assert table(TREE["numpydoc"], SOURCE) == table(TREE["none"], SOURCE) == ""


def test_a_name_and_type_of_the_whole_library_are_told():
    (row,) = entries(ast.parse("def f(rows: int): pass").body[0], "def f(rows: int): pass")
    assert row == ("rows", "int", "", "how many rows")
    (row,) = entries(ast.parse("def f(shape: int): pass").body[0], "def f(shape: int): pass")
    assert row == ("shape", "int", "", "")  # elsewhere a shape is the sizes of the axes


SETTINGS = """
class Settings:
    hidden: tuple = (64, 64)  # widths
    # what an edge offers, in the order
    # in which a page shows it
    candidates: tuple = ("zero", "linear")
"""


def test_a_comment_of_two_lines_is_told_whole():
    told = fields(SETTINGS)
    assert told["candidates"][2] == "what an edge offers, in the order in which a page shows it"
    long = {f"a_rather_long_name_of_a_parameter_{i}": ("int", "1", "word " * 30) for i in range(4)}
    assert max(map(len, cell(told | long, "https://x.org/" + "a" * 60).splitlines())) <= 88


PATCHED = '''
@patch
def draw(graph: "Graph", width: int = 3) -> str:
    "Draw; `width`: in pixels."

@patch_to(Graph, static_method=True)
def made(edges: list) -> "Graph":
    "`edges`: pairs."

@other
def plain(graph: Graph): "Not a method."
'''


def test_a_patched_function_is_documented_as_the_method_that_it_becomes():
    found = {name: (call, listed) for name, _, call, listed in documented(ast.parse(PATCHED),
                                                                          PATCHED)}
    assert list(found) == ["Graph.draw", "Graph.made", "plain"]
    call, listed = found["Graph.draw"]
    assert call == "def Graph.draw(width: int = 3) -> str"
    assert "`width`" in listed and "in pixels" in listed and "`graph`" not in listed
    assert found["Graph.made"][0] == "def Graph.made(edges: list) -> Graph"
    assert found["plain"][0] == "def plain(graph: Graph)"


def test_a_parameter_without_text_is_named_and_every_form_of_a_text_counts():
    code = "#| export\ndef f(a, b: int):\n    \"`a(x)`: a function.\"\n"
    cell = {"cell_type": "code", "source": code}
    assert untold([cell]) == ["f(b) has no text: say in its docstring what it is, as `name`: text"]
    told = [code.replace("function.", "function. `b`: pixels."), code.replace("(a, b", "(a, seed"),
            code.replace("b: int):", "b: int):  # pixels"), code.replace("def f", "def _f"),
            code.replace("export", "exporti"), code.replace("export", "export\n#| hide")]
    assert [untold([{**cell, "source": s}]) for s in told] == [[]] * len(told)
