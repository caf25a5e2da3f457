"The rules of the house: the tree keeps them, and a planted fault of each kind is found and named."
import ast
import json

import pytest

from tools.check import ROOT
from tools.house import FLOORS, KNOWN, PACKAGE, circles, faults, imports, library, rooms, unexcused

SOUND = {
    "__init__.py": "__version__ = '1'\n",
    "core/words.py": '"Words."\n\ndef word(x):\n    return [len(w) for w in x]\n',
    "model/graph.py": '"Graph."\nfrom bstruct.core.words import word\n\nclass Graph:\n    def '
                      '__init__(self):\n        self._parts = word(["a"])\n    def size(self):\n   '
                      '     return len(self._parts)\n',
    "search/walk.py": '"Walk."\nfrom ..model.graph import Graph\nfrom .stages.order import '
                      'order\n\ndef walk():\n    import bstruct.core.words\n    return Graph(), '
                      'order(), bstruct.core.words\n',
    "search/stages/order.py": '"Order."\n\ndef order():\n    return "bstruct.graph"\n',
    "search/__init__.py": "from .walk import walk\n",
}
PAGES = {"core/01_words": "core.words", "model/02_graph": "model.graph",
         "search/01_walk": "search.walk",
         "search/stages/01_order": "search.stages.order", "core/02_prose": None, "index": None}


def page(module: str | None, *code: str) -> str:
    cells = [{"cell_type": "markdown", "source": ["# Title"]}]
    cells += [{"cell_type": "code", "source": [f"#| default_exp {module}"]}] if module else []
    cells += [{"cell_type": "code", "source": text.splitlines(True)} for text in code]
    return json.dumps({"cells": cells}, indent=1, ensure_ascii=False)


def project(root, modules=(), pages=()):
    "A small project that keeps every rule, with some files replaced or added."
    for name, text in {**SOUND, **dict(modules)}.items():
        (root / PACKAGE / name).parent.mkdir(parents=True, exist_ok=True)
        (root / PACKAGE / name).write_text(text)
    for name, module in {**PAGES, **dict(pages)}.items():
        (root / f"nbs/{name}.ipynb").parent.mkdir(parents=True, exist_ok=True)
        (root / f"nbs/{name}.ipynb").write_text(page(module))
    return root


def test_the_tree_keeps_the_rules():
    assert unexcused(ROOT) == []


def test_every_room_has_a_floor_and_modules_are_read_whole():
    found = library(ROOT)
    assert {m.room for m in found.values()} <= FLOORS.keys() and len(found) > 90
    between = rooms(found, imports(found))
    assert "core" in between["search"] and between["core"] == {}


def test_a_sound_project_has_no_fault(tmp_path):
    assert faults(project(tmp_path)) == []


LONG = "def long():\n" + "    x = 1\n" * 40
PLANTED = {  # kind of fault: file, text, where it is seen, and words of the message
    "upward": ("core/more.py", "x = 1\nfrom bstruct.model.graph import Graph", 2,
               "imports bstruct.model.graph, a higher"),
    "upward in a function": ("core/more.py", "def f():\n    import bstruct.model.graph", 2,
                             "a higher floor"),
    "upward, relative": ("core/more.py", "from ..model import graph", 1,
                         "imports bstruct.model.graph, a higher"),
    "upward, by a string": ("core/more.py", 'MODES = {"a": "bstruct.search.walk.walk"}', 1,
                            "imports bstruct.search.walk"),
    "upward to the top": ("core/more.py", "from bstruct import __version__", 1,
                          "imports bstruct, a higher floor"),
    "room": ("attic/box.py", "x = 1", 1, "the room 'attic' has no floor; move the file"),
    "circle": ("model/parts.py", "def f():\n    from bstruct.model.graph import Graph", 2,
               "imports in a circle: bstruct.model.graph -> bstruct.model.parts -> "
               "bstruct.model.graph; move what both"),
    "rooms": ("search/stages/race.py", "from bstruct.search.plan import x", 1,
              "rooms in a circle: search -> search/stages -> search"),
    "private import": ("model/parts.py", "from bstruct.core.words import _word", 1,
                       "imports the private name _word of bstruct.core.words; make it "
                       "public there"),
    "private attribute": ("model/parts.py", "def f(graph):\n    return graph._parts", 2,
                          "reaches the private name graph._parts"),
    "function": ("core/more.py", LONG, 1, "long has 41 lines, 40 are allowed; split it"),
    "method": ("core/more.py", "class A:\n"
               + "".join("    " + line + "\n" for line in LONG.splitlines()), 2,
               "long has 41 lines"),
    "module": ("core/more.py", "x = 1\n" * 401, 401,
               "401 lines, 400 are allowed; make two modules"),
    "public": ("core/more.py", "".join(f"x{i} = {i}\n" for i in range(16)), 1,
               "16 public names, 15 are allowed: x0, x1"),
    "line": ("core/more.py", "x = 1\ny = '" + "a" * 100 + "'", 2,
             "106 characters, 88 are allowed; break it"),
    "line of 89": ("core/more.py", "x = 1\ny = '" + "a" * 83 + "'", 2,
                   "89 characters, 88 are allowed; break it"),
    "stage": ("search/stages/race.py", "def race(run: Session, n: int):\n    return n", 1,
              "run is a Session in a stage; take graph, task and settings, and let a mode call"),
    "stage, in quotes": ("search/stages/race.py", "def race(n: int, *, run: 'Session | None'): "
                                                  "return n", 1, "run is a Session"),
    "stage, of a module": ("search/stages/race.py", "def race(n, at: session.Session): return n", 1,
                           "at is a Session"),
    "stage, a field": ("search/stages/race.py", "class Race:\n    own: Session", 2,
                       "own is a Session"),
    "assigned": ("model/parts.py", "from bstruct.model.graph import Graph\n\nGraph.area = "
                                   "lambda g: 1", 3,
                 "Graph.area is assigned from outside its class; write it into the class, or use "
                 "fastcore's `@patch`"),
    "assigned in a loop": ("model/parts.py", "class A: pass\nfor i in (1,):\n    A.x, y = i, i", 3,
                           "A.x is assigned from"),
    "assigned by setattr": ("model/parts.py", "class A: pass\nsetattr(A, 'x', 1)", 2,
                            "assigns from outside its class"),
    "self": ("core/more.py", "def area(self, x):\n    return x", 1,
             "area is no method and takes `self`; make it one"),
    "nested": ("core/more.py", "def f(xs):\n    return [y for x in xs for y in x]", 2,
               "`[y for x in xs for y in x]` has 2 `for`; write a loop, or name the inner part"),
    "let": ("core/more.py", "def _f(xs):\n    return [y * y for x in xs for y in [x + 1]]", 2,
            "`for y in [x + 1]` is a let; write an assignment"),
}


@pytest.mark.parametrize("kind", PLANTED)
def test_a_planted_fault_is_found_and_named(tmp_path, kind):
    file, text, line, words = PLANTED[kind]
    partners = {"circle": {"model/graph.py": "from .parts import f"},
                "rooms": {"search/plan.py": "x = 1\n",
                          "search/walk.py": "from .stages.race import x\n\nwalk = x"}}
    modules = {**partners.get(kind, {}), file: text}
    found = faults(project(tmp_path, modules))
    assert len(found) == 1, [str(f) for f in found]
    fault = found[0]
    at = {"circle": ("model/graph.py", 1), "rooms": ("search/walk.py", 1)}.get(kind, (file, line))
    assert str(fault).startswith(f"{PACKAGE}/{at[0]}:{at[1]}: ") and words in str(fault), str(fault)
    assert fault.kind == kind.partition(" ")[0].rstrip(",").replace("method", "function")
    assert "\n" not in str(fault) and ";" in str(fault) and unexcused(tmp_path, {}) == [str(fault)]


@pytest.mark.parametrize("pages, file, line, words", [
    ({"core/01_words": "core.word"}, "core/01_words", 12,
     "makes the module core.word; write `default_exp core.words`"),
    ({"search/stages/01_order": "search.order"}, "search/stages/01_order", 12,
     "default_exp search.stages.order`"),
    ({"core/02_words_again": None}, "core/02_words_again", 1,
     "has the number 02 of nbs/core/02_prose.ipynb; take the next"),
    ({"core/2_more": None}, "core/2_more", 1, "has the number 2 of nbs/core/02_prose.ipynb"),
    ({"core/words": None}, "core/words", 1, "is not named NN_name.ipynb"),
])
def test_a_notebook_at_a_wrong_door_is_found(tmp_path, pages, file, line, words):
    found = [str(f) for f in faults(project(tmp_path, (), pages))]
    assert len(found) == 1 and found[0].startswith(
        f"nbs/{file}.ipynb:{line}: ") and words in found[0], found


WIDE = "y = " + repr("ä" * 83)


@pytest.mark.parametrize("first", ["#| export", "#| test a_name", "#| hide", "x = 1"])
def test_a_long_line_of_a_cell_is_found_in_every_kind_of_cell(tmp_path, first):
    root = project(tmp_path)
    file = root / "nbs/core/01_words.ipynb"
    file.write_text(page("core.words", f'{first}\nz = "\t"\n{WIDE}\n', "w = 1"), encoding="utf-8")
    fault, = faults(root)
    assert str(fault).endswith("89 characters, 88 are allowed; break it")
    assert fault.kind == "line" and fault.file == "nbs/core/01_words.ipynb"
    assert "ä" * 83 in file.read_text(encoding="utf-8").splitlines()[fault.line - 1]


def test_a_long_line_of_prose_and_a_long_caption_are_allowed(tmp_path):
    root = project(tmp_path)
    wide = {"cell_type": "markdown", "source": ["word " * 40]}
    cells = json.loads(page("core.words", f"#| fig-cap: {'a' * 90}\nx = 1\n{WIDE[:87]}'"))["cells"]
    (root / "nbs/core/01_words.ipynb").write_text(json.dumps({"cells": [*cells, wide]}))
    assert faults(root) == []


ALLOWED = {
    "methods, dunder and own attributes": "class A:\n    _n = 1\n    def f(self, b):\n        "
                                          "return self._x, b._n, b.__class__",
    "what others keep private with a reason": "import torch\n\ndef f(x):\n    return "
                                              "torch._foreach_norm(x)",
    "patched methods": "from fastcore.basics import patch\n\n@patch\ndef area(self: int):\n    "
                       "return self",
    "two `for` in private code": "def _f(xs):\n    return [y for x in xs for y in x]",
    "a nested comprehension that has a name": "def f(xs):\n    inner = [x for x in xs]\n    return "
                                              "[y for y in inner]",
    "long words in a docstring": '"' + "a" * 200 + '"',
    "names in a docstring": 'def f():\n    "bstruct.search.walk"',
}


@pytest.mark.parametrize("what", ALLOWED)
def test_what_is_allowed_is_no_fault(tmp_path, what):
    assert faults(project(tmp_path, {"core/more.py": ALLOWED[what]})) == []


def test_an_excuse_covers_its_fault_and_no_other_and_is_missed_when_it_is_stale(tmp_path):
    root = project(tmp_path, {"core/more.py": "def area(self):\n    return 1\n\ndef size(self):\n  "
                                              "  return 2\n"})
    assert [f.key for f in faults(root)] == ["self: bstruct/core/more.py area",
                                             "self: bstruct/core/more.py size"]
    assert unexcused(root, {"self: bstruct/core/more.py": "why"}) == []
    one = unexcused(root, {"self: bstruct/core/more.py area": "why"})
    assert len(one) == 1 and "size is no method" in one[0]
    assert "'line: x', which is no fault any more" in unexcused(
        root, {"self: bstruct": "why", "line: x": "why"})[0]


def test_a_circle_is_shown_once_and_by_its_shortest_way():
    edges = {"a": {"b": 1}, "b": {"c": 1, "a": 1}, "c": {"a": 1}, "d": {"a": 1, "e": 1},
             "e": {"d": 1}, "f": {}}
    assert circles(edges) == [["a", "b"], ["d", "e"]]
    assert circles({"a": {"b": 1}, "b": {}, "c": {"b": 1}}) == []


def test_the_check_imports_nothing_of_the_library():
    tree = ast.parse((ROOT / "tools/house.py").read_text())
    names = [a.name for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names]
    names += [n.module for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)]
    assert names and not any(name.startswith((PACKAGE, "torch")) for name in names)
    assert all(reason for reason in KNOWN.values())
