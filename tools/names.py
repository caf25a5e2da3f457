"""Does a notebook import what it uses? `python -m tools.names [notebook ...]` names each cell that
would stop a "Run all" with a NameError, without running anything.

A name that a cell uses while it runs has to be defined above, or in the cell; one that a function
uses later, anywhere in the notebook. `from module import *` counts with the public names of that
module. Cells marked slow or gpu are run by few, so no other cell may need a name of theirs.
"""

import ast
import builtins
import importlib
import re
import symtable
import sys
from functools import cache, lru_cache
from pathlib import Path

from tools import nb as nbtext
from tools.execute import FLAGS, directives

ROOT = Path(__file__).resolve().parent.parent
JUPYTER = {"get_ipython", "display", "In", "Out", "_", "__", "__name__", "__doc__", "__builtins__"}
KNOWN = set(dir(builtins)) | JUPYTER
AT_ONCE = {"listcomp", "setcomp", "dictcomp", "genexpr"}  # a comprehension runs where it stands


@lru_cache(maxsize=256)
def parsed(source: str) -> ast.Module:
    "The syntax tree of a cell, which several questions are put to."
    return ast.parse(source)


@lru_cache(maxsize=256)
def scopes_of(source: str) -> symtable.SymbolTable:
    "The scopes of a cell, which several questions are put to."
    return symtable.symtable(source, "cell", "exec")


def plain(source: str) -> str:
    "A cell's source as Python: magics and shell commands are left out, their indent stays."
    return re.sub(r"^([ \t]*)[%!].*$", r"\1pass", source, flags=re.M)


@cache
def public(module: str, root: Path = ROOT) -> frozenset[str]:
    "What `from module import *` brings; modules of the library are read, not imported."
    stem = root.joinpath(*module.split("."))
    path = next((p for p in (stem.with_suffix(".py"), stem / "__init__.py") if p.exists()), None)
    if path is None:
        found = importlib.import_module(module)
        return frozenset(getattr(found, "__all__", [n for n in vars(found) if n[0] != "_"]))
    tree = ast.parse(path.read_text(encoding="utf-8"))
    lists = [
        n.value
        for n in tree.body
        if isinstance(n, ast.Assign | ast.AugAssign)
        and "__all__" in ast.unparse(n).partition("=")[0]
    ]
    if lists:
        return frozenset(x.value for v in lists for x in ast.walk(v) if isinstance(x, ast.Constant))
    return frozenset(n for n in table(path.read_text(encoding="utf-8"))[0] if n[0] != "_")


def starred(tree: ast.Module, root: Path) -> set[str]:
    "Names that star imports bring."
    modules = [
        n.module for n in ast.walk(tree) if isinstance(n, ast.ImportFrom) and n.names[0].name == "*"
    ]
    return {name for m in modules for name in public(m, root)}


def table(source: str) -> tuple[set[str], set[str], set[str]]:
    "The names that a cell defines, those it uses while it runs, and those it uses later."
    top = scopes_of(source)
    defined = {
        s.get_name()
        for s in top.get_symbols()
        if s.is_assigned() or s.is_imported() or s.is_namespace()
    }
    now, later = {s.get_name() for s in top.get_symbols() if s.is_referenced()}, set()

    def walk(scope, runs: bool) -> None:
        runs = runs and (scope.get_type() == "class" or scope.get_name() in AT_ONCE)
        names = {
            s.get_name()
            for s in scope.get_symbols()
            if s.is_global() and not s.is_local() and s.is_referenced()
        }
        defined.update(
            s.get_name() for s in scope.get_symbols() if s.is_declared_global() and s.is_assigned()
        )
        (now if runs else later).update(names)
        for child in scope.get_children():
            walk(child, runs)

    for child in top.get_children():
        walk(child, True)
    return defined, now, later


def taken(scope: symtable.SymbolTable) -> set[str]:
    "The names that a scope and those in it take from outside."
    own = {
        s.get_name()
        for s in scope.get_symbols()
        if s.is_global() and not s.is_local() and s.is_referenced()
    }
    return own.union(*map(taken, scope.get_children()))


def attributes(tree: ast.AST) -> set[str]:
    "What stands behind a dot, with the dot."
    return {f".{n.attr}" for n in ast.walk(tree) if isinstance(n, ast.Attribute)}


@lru_cache(maxsize=256)
def bodies(source: str) -> dict[str, set[str]]:
    """Of each function that a cell defines: the names and attributes that a call of it uses.

    A method stands under its name with a dot before it, and those that Python calls by itself under
    the name of their class.
    """
    found = {}
    scopes = scopes_of(source).get_children()

    def add(key: str, scope, node: ast.AST) -> None:
        found.setdefault(key, set()).update(taken(scope) | attributes(node))

    for node in parsed(source).body:
        mine = [s for s in scopes if s.get_name() == getattr(node, "name", None)]
        if isinstance(node, ast.FunctionDef):
            for scope in mine:
                add(node.name, scope, node)
        elif isinstance(node, ast.ClassDef):
            found.setdefault(node.name, set())
            inner = {s.get_name(): s for c in mine for s in c.get_children()}
            for part in node.body:
                if isinstance(part, ast.FunctionDef) and part.name in inner:
                    dunder = part.name.startswith("__")
                    add(node.name if dunder else f".{part.name}", inner[part.name], part)
    return found


def reached(names: set[str], needs: dict[str, set[str]]) -> set[str]:
    "The names, and those that the functions among them take from outside when they are called."
    seen, todo = set(), set(names)
    while todo:
        seen |= todo
        todo = set().union(*(needs.get(n, set()) for n in todo)) - seen
    return {n for n in seen if n[0] != "."}


def unknown(nb: dict, root: Path = ROOT) -> list[str]:
    "What the cells of a notebook use and nothing in it defines, one line a cell."
    known, rare, later_uses, needs, bad = set(KNOWN), set(), [], {}, []
    for cell in nb["cells"]:
        if cell["cell_type"] != "code" or cell["source"].startswith("%%"):
            continue
        source, keys = plain(cell["source"]), directives(cell["source"]).keys()
        few = bool(keys & {*FLAGS})
        defined, now, later = table(source)
        needs |= {name: set() for name in defined} | bodies(source)
        brought = starred(parsed(source), root) if re.search(r"import\s*\*", source) else set()
        (rare if few else known).update(defined | brought)
        runs = not keys & {"export", "exports", "exporti", "testi"}
        used = reached(now | later | attributes(parsed(source)), needs) if runs else now
        if missing := sorted(used - known - (rare if few else set())):
            names = ", ".join(missing)
            bad.append(f"cell {cell['id']} uses {names}: import or define it above")
        later_uses.append((cell["id"], few, set() if runs else later))
    for id, few, later in later_uses:
        if missing := sorted(later - known - (rare if few else set())):
            names = ", ".join(missing)
            bad.append(f"cell {id} uses {names} in a function: import or define it in the notebook")
    return bad


def complaints(nb: dict, root: Path = ROOT) -> list[str]:
    "What stops a Run all, or misleads it."
    return unknown(nb, root) + rebound(nb) + patched(nb) + lost(nb) + unready(nb)


def unready(nb: dict) -> list[str]:
    "A notebook whose marked cells would run, because nothing says that they show what is stored."
    code = [c["source"] for c in nb["cells"] if c["cell_type"] == "code"]
    marked = [i for i, s in enumerate(code) if directives(s).keys() & set(FLAGS)]
    told = [i for i, s in enumerate(code) if re.search(r"^ready\(\)", s, re.M)]
    return ["cells are marked slow or gpu, and none above calls `ready()` of "
            "bstruct.testing.notebook"] if marked and not any(i < marked[0] for i in told) else []


def lost(nb: dict) -> list[str]:
    """Cells that use behind a `with patch.dict(names_of(f))` what its block assigned: in Jupyter
    the names of the notebook are then what they were before."""
    bad = []
    for cell in nb["cells"]:
        if cell["cell_type"] != "code" or "names_of" not in cell["source"]:
            continue
        tree = ast.parse(plain(cell["source"]))
        names = [n for n in ast.walk(tree) if isinstance(n, ast.Name)]
        top = [n for n in tree.body if not isinstance(n, (ast.FunctionDef, ast.ClassDef))]
        for node in (n for part in top for n in ast.walk(part) if isinstance(n, ast.With)):
            if "patch.dict(names_of(" not in "".join(map(ast.unparse, node.items)):
                continue
            made = {n.id for n in ast.walk(node) if isinstance(n, ast.Name)
                    and isinstance(n.ctx, ast.Store)}
            used = {n.id for n in names if n.lineno > node.end_lineno
                    and isinstance(n.ctx, ast.Load)}
            again = {n.id for n in names if n.lineno < node.lineno
                     and isinstance(n.ctx, ast.Store)}
            if lacking := sorted(made & used - again):
                bad.append(f"cell {cell['id']} uses {', '.join(lacking)} behind the block of "
                           "patch.dict(names_of(...)) that assigns it: use it inside")
    return bad


def patched(nb: dict) -> list[str]:
    """Cells that replace a name of the notebook's own module: in Jupyter the functions are the
    notebook's, and look their names up there."""
    code = [c for c in nb["cells"] if c["cell_type"] == "code"]
    module = next((m[1] for c in code if (
        m := re.search(r"^#\|\s*default_exp\s+(\S+)", c["source"], re.M))), "")
    room, _, name = module.rpartition(".")
    own = re.compile(rf"(?:patch|\.setattr)\(\s*[\"']bstruct\.{re.escape(module)}\.\w+[\"']"
                     rf"|^[^#=\n]*\bbstruct\.{re.escape(module)}\.\w+ = ", re.M)
    alias = re.compile(rf"from bstruct\.{re.escape(room)} import {name} as (\w+)"
                       rf"|import bstruct\.{re.escape(module)} as (\w+)")
    bad = []
    for cell in code if module else []:
        found = bool(own.search(cell["source"]))
        for m in alias.finditer(cell["source"]):
            found |= bool(re.search(rf"patch\.object\(\s*{m[1] or m[2]}\b", cell["source"]))
        if found:
            bad.append(f"cell {cell['id']} replaces a name of its own module: use patch.dict with "
                       "`names_of` of bstruct.testing.notebook")
    return bad


def rebound(nb: dict) -> list[str]:
    """Cells outside of the module that give another meaning to a name that its functions use: what
    is a function's own in a test is everybody's in a notebook."""
    cells = [c for c in nb["cells"] if c["cell_type"] == "code"]
    own = [c for c in cells if directives(c["source"]).keys() & {"export", "exports", "exporti"}]
    uses, makes = set(), set()
    for cell in own:
        uses |= set().union(*bodies(plain(cell["source"])).values())
        makes |= table(plain(cell["source"]))[0]
    bad = []
    for cell in cells:
        if cell in own or cell["source"].startswith("%%"):
            continue
        top = scopes_of(plain(cell["source"]))
        given = {s.get_name() for s in top.get_symbols() if s.is_assigned() and not s.is_imported()}
        if names := sorted(given & uses & makes):
            bad.append(f"cell {cell['id']} gives {', '.join(names)} another meaning, which the "
                       "module's functions would take: choose another name")
    return bad


def main(args: list[str]) -> None:
    from tools.export import notebooks

    files = [Path(a).resolve() for a in args] or notebooks(ROOT)
    bad = [f"{f.relative_to(ROOT)}: {b}" for f in files for b in complaints(nbtext.read(f))]
    print("\n".join(bad) or f"{len(files)} notebooks import what they use")
    sys.exit(bool(bad))


if __name__ == "__main__":
    main(sys.argv[1:])
