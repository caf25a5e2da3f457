"""The rules of the house, proved from the syntax trees: no module of the library is imported here.

`faults(root)` names every breach in one line: file, line, what is wrong, and the remedy. An import
goes to a lower floor or stays on its own; imports inside functions, relative ones and modules that
a string names count like any other.
"""
import ast
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain
from pathlib import Path

PACKAGE = "bstruct"
# `testing` is for a user's own extensions: it may use every room but the last two. "" is the
# package itself.
FLOORS = {"core": 1, "distributions": 1, "structure": 2, "hypergradient": 2, "model": 3,
          "objectives": 3, "evidence": 4, "training": 5, "search": 6, "search/stages": 6,
          "search/work": 6, "search/modes": 6, "testing": 6.5,
          "use/table": 6.8, "continuous": 7, "use": 7, "experiments": 8, "": 9}
# lines, lines, names, characters of a module and of a notebook's code; ruff.toml holds the
# files that are written by hand to 100
FUNCTION, MODULE, PUBLIC, LINE = 40, 400, 15, 88
FOREIGN = {"_foreach_norm": "torch has no public name for it",
           "_exit": "the documented way to end a process at once",
           "_cdata": "the address of a tensor's storage in torch, also where there is no data",
           "_schema": "the name of a torch operation inside a dispatch mode",
           "_validate_args": "torch.distributions can set its checks, and read them nowhere else",
           "_functorch": "torch keeps its forward-mode levels there",
           "_replace": "public in a named tuple", "_asdict": "public in a named tuple",
           "_fields": "public in a named tuple"}
# Faults that wait to be mended, by the beginning of their key "kind: file subject", and why they
# are there.
KNOWN: dict[str, str] = {}
COMPREHENSIONS = ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp
FUNCTIONS = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Fault:
    """One breach. `subject` names it without its line, so that a list of known faults survives an
    edit."""
    kind: str
    file: str
    line: int
    subject: str
    text: str

    @property
    def key(self) -> str: return f"{self.kind}: {self.file} {self.subject}"

    def __str__(self): return f"{self.file}:{self.line}: {self.text}"


@dataclass(frozen=True)
class Module:
    "A file of the library, read and parsed."
    name: str   # bstruct.room.part
    file: str   # bstruct/room/part.py
    text: str = field(repr=False)

    @cached_property
    def tree(self) -> ast.Module: return ast.parse(self.text)

    @cached_property
    def nodes(self) -> list[ast.AST]: return list(ast.walk(self.tree))

    @property
    def is_door(self) -> bool: return self.file.endswith("__init__.py")

    @property
    def package(self) -> str: return self.name if self.is_door else self.name.rpartition(".")[0]

    @property
    def room(self) -> str: return "/".join(self.package.split(".")[1:])

    def fault(self, kind: str, at: ast.AST | int, subject: str, text: str) -> Fault:
        return Fault(kind, self.file, at if isinstance(at, int) else at.lineno, subject, text)


def library(root: Path) -> dict[str, Module]:
    "The modules of the library under `root`, by name."
    found = {}
    for path in sorted((root / PACKAGE).rglob("*.py")):
        file = path.relative_to(root)
        if path.name != "_modidx.py":
            name = ".".join(file.with_suffix("").parts).removesuffix(".__init__")
            found[name] = Module(name, file.as_posix(), path.read_text(encoding="utf-8"))
    return found


# Imports

def written(module: Module) -> Iterator[tuple[str, ast.AST]]:
    "Every dotted name that a module imports, or names in a string."
    docs = {id(n.body[0].value) for n in module.nodes
            if isinstance(n, FUNCTIONS | ast.ClassDef | ast.Module)
            and n.body and isinstance(n.body[0], ast.Expr)}
    for node in module.nodes:
        if isinstance(node, ast.Import):
            yield from ((a.name, node) for a in node.names)
        elif isinstance(node, ast.ImportFrom):
            up = module.package.split(".")[:len(module.package.split(".")) + 1
                                           - node.level] if node.level else []
            base = ".".join([*up, *filter(None, [node.module])])
            yield from ((f"{base}.{a.name}", node) for a in node.names)
        elif (isinstance(node, ast.Constant) and isinstance(node.value, str)
              and id(node) not in docs
              and re.fullmatch(rf"{PACKAGE}(\.\w+)+", node.value)):
            yield node.value, node


def imports(modules: dict[str, Module]) -> dict[str, dict[str, int]]:
    "Of each module: the modules of the library that it imports, and the first line where it does."
    edges = {name: {} for name in modules}
    for name, module in modules.items():
        for target, node in written(module):
            while target and target not in modules:
                target = target.rpartition(".")[0]
            # "bstruct.graph" may be a file's format
            words = isinstance(node, ast.Constant) and target == PACKAGE
            if target and target != name and not words:
                edges[name].setdefault(target, node.lineno)
    return edges


def circles(edges: dict[str, dict]) -> list[list[str]]:
    "One shortest way round for each set of nodes that reach each other."
    def reached(start: str) -> dict[str, str]:
        before, queue = {}, [start]
        for node in queue:
            for after in edges.get(node, {}):
                if after not in before:
                    before[after] = node
                    queue.append(after)
        return before

    before, ways, done = {node: reached(node) for node in edges}, [], set()
    for node in sorted(edges):
        together = {other for other in before[node] if node in before[other]} - done
        done |= together
        round_trips = [_way_round(other, before[other]) for other in sorted(together)]
        ways += [min(round_trips, key=len)] if round_trips else []
    return ways


def _way_round(start: str, before: dict[str, str]) -> list[str]:
    way = [before[start]]
    while way[-1] != start:
        way.append(before[way[-1]])
    return way[::-1]


def upward(modules: dict[str, Module], edges: dict[str, dict[str, int]]) -> Iterator[Fault]:
    "A room without a floor, an import of a higher floor, a circle of files, a circle of rooms."
    for module in modules.values():
        if module.room not in FLOORS:
            yield module.fault("room", 1, module.room, f"the room {module.room!r} has no floor; "
                                                       "move the file, or add the room to FLOORS "
                                                       "in tools/house.py")
    known = {n: m for n, m in modules.items() if m.room in FLOORS}
    for name, module in known.items():
        for target, line in edges[name].items():
            if target in known and FLOORS[known[target].room] > FLOORS[module.room]:
                yield module.fault("upward", line, target, f"imports {target}, a higher floor; "
                                                           "hand over what is needed as an "
                                                           "argument, or move the shared part down")
    for way in circles(edges):
        module = modules[way[0]]
        yield module.fault("circle", edges[way[0]][way[1 % len(way)]], " ".join(sorted(way)),
                           f"imports in a circle: {' -> '.join([*way, way[0]])}; move what both "
                           "need into a third file")
    yield from room_circles(known, edges)


def rooms(modules: dict[str, Module],
          edges: dict[str, dict[str, int]]) -> dict[str, dict[str, tuple[str, str]]]:
    """Of each room: the rooms it imports, each with one pair of files that shows it; doors
    (`__init__`) are left out."""
    between = {m.room: {} for m in modules.values() if m.room}
    for name, module in modules.items():
        for target in edges[name].keys() & modules.keys():
            other = modules[target].room
            if module.room and other and other != module.room and not module.is_door:
                between[module.room].setdefault(other, (name, target))
    return between


def room_circles(modules: dict[str, Module], edges: dict[str, dict[str, int]]) -> Iterator[Fault]:
    "Rooms of one floor that import each other."
    between = rooms(modules, edges)
    beside = {a: {b: pair for b, pair in bs.items() if FLOORS[a] == FLOORS[b]}
              for a, bs in between.items()}
    short = lambda name: name.removeprefix(PACKAGE + ".")
    for way in circles(beside):
        pairs = [beside[a][b] for a, b in zip(way, [*way[1:], way[0]], strict=True)]
        shown = ", ".join(f"{short(a)} imports {short(b)}" for a, b in pairs)
        name, target = pairs[0]
        yield modules[name].fault("rooms", edges[name][target], " ".join(sorted(way)),
                                  f"rooms in a circle: {' -> '.join([*way, way[0]])} ({shown}); "
                                  "let one of them stop, by an argument or a move")


# Names

def is_private(name: str) -> bool:
    return name.startswith("_") and not (
        name.startswith("__") and name.endswith("__")) and name != "_"


def own_names(module: Module) -> set[str]:
    """What a module itself defines: functions, classes, variables, and attributes of its own
    `self` and `cls`."""
    found = set()
    for node in module.nodes:
        if isinstance(node, FUNCTIONS | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.add(node.id)
        elif (isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store)
              and isinstance(node.value, ast.Name) and node.value.id in ("self", "cls")):
            found.add(node.attr)
    return found


def trespasses(module: Module) -> Iterator[Fault]:
    "A private name of another module, imported or reached as an attribute."
    own = own_names(module)
    for node in module.nodes:
        if isinstance(node, ast.ImportFrom):
            for name in (a.name for a in node.names if is_private(a.name)
                         and a.name not in FOREIGN):
                yield module.fault("private", node, name, f"imports the private name {name} of "
                                   f"{'.' * node.level}{node.module or ''}; make it public there, "
                                   "or keep to what is")
        elif isinstance(node, ast.Attribute) and is_private(
            node.attr) and node.attr not in own | FOREIGN.keys():
            if not (isinstance(node.value, ast.Name) and node.value.id in ("self", "cls")):
                yield module.fault("private", node, node.attr,
                                   f"reaches the private name {ast.unparse(node)}, which "
                                   "this module does not define; make it public where it "
                                   "is defined")


def top_level(tree: ast.AST) -> Iterator[ast.stmt]:
    """The statements outside of functions and classes, also those under `if`, `for`, `with` and
    `try`."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.stmt | ast.ExceptHandler):
            yield node
            if not isinstance(node, FUNCTIONS | ast.ClassDef):
                yield from top_level(node)


def outsiders(module: Module) -> Iterator[Fault]:
    "A method assigned from outside its class, a free function that takes `self`."
    for node in top_level(module.tree):
        targets = node.targets if isinstance(node, ast.Assign) else []
        for target in chain.from_iterable(t.elts if isinstance(t, ast.Tuple | ast.List) else [t]
                                          for t in targets):
            if isinstance(target, ast.Attribute):
                name = ast.unparse(target)
                yield module.fault("assigned", node, name, f"{name} is assigned from outside its "
                                                           "class; write it into the class, or use "
                                                           "fastcore's `@patch`")
        if isinstance(node, ast.Expr) and (name := ast.unparse(node)).startswith("setattr("):
            yield module.fault("assigned", node, name, f"{name} assigns from outside its class; "
                                                       "write it into the class")
    inside = [s for c in module.nodes if isinstance(c, ast.ClassDef) for s in c.body]
    methods = {id(f) for s in inside for f in (s.body if isinstance(s, ast.If) else [s])}
    for node in module.nodes:
        if isinstance(node, FUNCTIONS) and id(node) not in methods:
            first = next(iter([*node.args.posonlyargs, *node.args.args]), None)
            patched = any(ast.unparse(d).partition("(")[0] in ("patch", "patch_to")
                          for d in node.decorator_list)
            if first and first.arg == "self" and not patched:
                yield module.fault("self", node, node.name, f"{node.name} is no method and takes "
                                                            "`self`; make it one, or name the "
                                                            "argument by what it is")


# Stages

def impure_stages(module: Module) -> Iterator[Fault]:
    "A stage that is handed the session, which alone knows checkpoint, history and Ctrl-C."
    if module.room != "search/stages":
        return
    of_session = lambda node: node is not None and re.search(r"\bSession\b", ast.unparse(node))
    for node in module.nodes:
        if isinstance(node, ast.arg) and of_session(node.annotation):
            name = node.arg
        elif isinstance(node, ast.AnnAssign) and of_session(node.annotation):
            name = ast.unparse(node.target)
        else:
            continue
        yield module.fault("stage", node, name, f"{name} is a Session in a stage; take graph, task "
                           "and settings, and let a mode call it in Session.stage")


# Sizes and shapes

def sizes(module: Module) -> Iterator[Fault]:
    "A long function, module or line, and too many public names."
    lines = module.text.splitlines()
    for node in module.nodes:
        if isinstance(node, FUNCTIONS) and (n := node.end_lineno - node.lineno + 1) > FUNCTION:
            yield module.fault("function", node, node.name,
                               f"{node.name} has {n} lines, {FUNCTION} are allowed; split "
                               "it")
    if len(lines) > MODULE:
        yield module.fault("module", len(lines), "",
                           f"{len(lines)} lines, {MODULE} are allowed; make two modules")
    names = public_names(module)
    if len(names) > PUBLIC and not module.is_door:
        yield module.fault("public", 1, "", f"{len(names)} public names, {PUBLIC} are allowed: "
                           f"{', '.join(sorted(names))}; make two modules, or private what no "
                           "other module uses")
    listed = {i for n in module.tree.body if isinstance(n, ast.Assign)
              and ast.unparse(n.targets[0]) == "__all__"
              for i in range(n.lineno, n.end_lineno + 1)}
    for i, line in enumerate(lines, 1):
        made = i == 1 or i in listed or line.startswith(("# %% ", "# AUTOGENERATED"))
        if len(line) > LINE and not made:
            yield module.fault("line", i, line.strip()[:40],
                               f"{len(line)} characters, {LINE} are allowed; break it")


def public_names(module: Module) -> set[str]:
    "What a module defines at its top under a name without underscore."
    found = set()
    for node in module.tree.body:
        if isinstance(node, FUNCTIONS | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            found |= {n.id for t in targets for n in ast.walk(t) if isinstance(n, ast.Name)}
    return {n for n in found if not n.startswith("_")}


def public_trees(module: Module) -> Iterator[ast.AST]:
    "The functions and classes that a reader of the page meets: private ones are left out, whole."
    for node in module.tree.body:
        if isinstance(node, FUNCTIONS | ast.ClassDef) and not node.name.startswith("_"):
            yield node


def comprehensions(module: Module) -> Iterator[Fault]:
    "`for x in [value]` anywhere, and more than one `for` in a comprehension of public code."
    for node in module.nodes:
        if isinstance(node, COMPREHENSIONS):
            for part in node.generators:
                if isinstance(part.iter, ast.List | ast.Tuple) and len(
                    part.iter.elts) == 1 and not isinstance(
                        part.iter.elts[0], ast.Starred):
                    name = f"for {ast.unparse(part.target)} in {ast.unparse(part.iter)}"
                    yield module.fault("let", node, name, f"`{name}` is a let; write an assignment")
    for node in chain.from_iterable(map(ast.walk, public_trees(module))):
        if isinstance(node, COMPREHENSIONS) and len(node.generators) > 1:
            text = ast.unparse(node)
            yield module.fault("nested", node, text, f"`{text[:60]}` has {len(node.generators)} "
                                                     "`for`; write a loop, or name the inner part")


# Notebooks

def notebooks(root: Path) -> list[Path]:
    "The notebooks under `root`, without hidden ones and copies of an editor."
    hidden = lambda path: any(p.startswith((".", "_")) for p in path.relative_to(root).parts)
    return [path for path in sorted((root / "nbs").rglob("*.ipynb")) if not hidden(path)]


def wide_cells(root: Path) -> Iterator[Fault]:
    "A long line in a code cell, shown or not; a directive is one line, however long."
    for path in notebooks(root):
        raw = path.read_text(encoding="utf-8")
        code = (c for c in json.loads(raw)["cells"] if c["cell_type"] == "code")
        for line in chain.from_iterable("".join(c["source"]).splitlines() for c in code):
            if len(line) > LINE and not line.startswith("#|"):
                stored = json.dumps(line, ensure_ascii=False)[:-1]
                at = next((i for i, row in enumerate(raw.splitlines(), 1) if stored in row), 1)
                yield Fault("line", path.relative_to(root).as_posix(), at, line.strip()[:40],
                            f"{len(line)} characters, {LINE} are allowed; break it")


def doors(root: Path) -> Iterator[Fault]:
    """A notebook without a number, two of a room with one number, and one whose module has another
    path."""
    taken: dict[tuple[str, int], str] = {}
    for path in notebooks(root):
        inside = path.relative_to(root / "nbs")
        room, file = inside.parent.as_posix(), path.relative_to(root).as_posix()
        number, _, name = path.stem.partition("_")
        if inside.as_posix() == "index.ipynb":
            continue
        if not number.isdigit() or not name:
            yield Fault("name", file, 1, "", "is not named NN_name.ipynb; the number gives the "
                                             "reading order")
            continue
        if (other := taken.setdefault((room, int(number)), file)) != file:
            yield Fault("number", file, 1, number,
                        f"has the number {number} of {other}; take the next free one")
        want = ".".join([*inside.parent.parts, name])
        for line, module in _modules_of(path):
            if module != want:
                yield Fault("path", file, line, module,
                            f"makes the module {module}; write `default_exp {want}`, or "
                            "move the notebook")


def _modules_of(path: Path) -> Iterator[tuple[int, str]]:
    "Line of the file and module of every `default_exp`."
    for i, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if found := re.match(r'\s*"#\|\s*default_exp\s+([\w.]+)', line):
            yield i, found[1]


# All together

RULES = (trespasses, outsiders, impure_stages, sizes, comprehensions)


def faults(root: Path) -> list[Fault]:
    "Every breach of the rules under `root`, in the order of files and lines."
    modules = library(root)
    found = [*doors(root), *wide_cells(root), *upward(modules, imports(modules))]
    found += [fault for module in modules.values() for rule in RULES for fault in rule(module)]
    return sorted(found, key=lambda f: (f.file, f.line, f.kind))


def unexcused(root: Path, known: dict[str, str] = KNOWN) -> list[str]:
    "The breaches that `known` does not excuse, and the excuses for what is no breach any more."
    found = faults(root)
    stale = [key for key in known if not any(f.key.startswith(key) for f in found)]
    return [str(f) for f in found if not any(f.key.startswith(key) for key in known)] + [
        f"tools/house.py: KNOWN excuses {key!r}, which is no fault any more; remove "
        "the entry" for key in stale]
