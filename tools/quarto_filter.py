"""What a notebook looks like in the documentation: `python -m tools.quarto_filter <in.ipynb
>out.ipynb`.

nbdev's own processors, with three differences: every exported name gets its `show_doc`, in the
order of the source and with the public methods of classes; exported and private code and tests stay
on the page, folded; of the notebook only the exported cells are executed. Quarto calls this for
every notebook (`ipynb-filters`), and so does `tools.page`.
"""
import ast
import copy
import json
import re
import sys

from execnb.nbio import dict2nb, mk_cell, nb2dict
from nbdev.process import Processor
from nbdev.processors import FilterDefaults

from tools.apidoc import entries, table
from tools.execute import directives
from tools.reading import to_quarto

DROPPED = {"FrontmatterProc", "insert_warning", "add_show_docs", "rm_export", "add_links",
           "add_fold", "mv_exports"}
EXPORTED = {"export", "exports"}
OPEN = 15  # lines of an exported cell that stands open on the page
DEFS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


def plain(source: str) -> str:
    "The source of a cell without what is no Python."
    return re.sub(r"^\s*[%!].*", "", source, flags=re.M)


def names(tree: ast.Module) -> list[str]:
    "What the top level of a cell defines."
    found = []
    for node in tree.body:
        if isinstance(node, DEFS):
            found.append(node.name)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            found += [t.id for t in targets if isinstance(t, ast.Name)]
    return found


def parameters(args: ast.arguments) -> list[str]:
    "The parameters as written, `self` and `cls` left out."
    def one(arg, default):
        text = ast.unparse(arg)
        equals = " = " if arg.annotation else "="
        return text if default is None else f"{text}{equals}{ast.unparse(default)}"

    plain = args.posonlyargs + args.args
    found = [one(*pair) for pair in zip(plain, [None] * (len(plain) - len(args.defaults))
                                        + args.defaults)]
    found = found[1:] if plain and plain[0].arg in ("self", "cls") else found
    if args.vararg or args.kwonlyargs:
        found.append("*" + (ast.unparse(args.vararg) if args.vararg else ""))
    found += [one(*pair) for pair in zip(args.kwonlyargs, args.kw_defaults)]
    return found + ([f"**{ast.unparse(args.kwarg)}"] if args.kwarg else [])


class Unquoted(ast.NodeTransformer):
    "Annotations that name a class not yet defined, without their quotes."

    def visit_arg(self, node):
        node.annotation = self.name(node.annotation)
        return node

    def visit_FunctionDef(self, node):
        node.returns = self.name(node.returns)
        return self.generic_visit(node)

    def name(self, node):
        quoted = isinstance(node, ast.Constant) and isinstance(node.value, str)
        return ast.parse(node.value, mode="eval").body if quoted else node


def signature(node: ast.AST, name: str) -> str:
    "How a function or class is called, one parameter a line where the line would be long."
    node = Unquoted().visit(node)
    if isinstance(node, ast.ClassDef):
        init = next((f for f in node.body if isinstance(f, ast.FunctionDef)
                     and f.name == "__init__"), None)
        fields = [ast.unparse(f) for f in node.body if isinstance(f, ast.AnnAssign)]
        fields = [f for f in fields if "ClassVar" not in f] or list(map(ast.unparse, node.bases))
        head, inside, tail = f"class {name}", parameters(init.args) if init else fields, ""
    else:
        head, inside = f"def {name}", parameters(node.args)
        tail = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    line = f"{head}({', '.join(inside)}){tail}"
    return line if len(line) <= 80 else f"{head}(\n    " + ",\n    ".join(inside) + f",\n){tail}"


def method(node: ast.AST) -> tuple[str, ast.AST]:
    """A function under fastcore's `patch` or `patch_to` as the method that it becomes: its name
    with that of the class, and itself without the instance; anything else as it is."""
    for mark in getattr(node, "decorator_list", []):
        kind, _, options = ast.unparse(mark).partition("(")
        if kind not in ("patch", "patch_to") or not isinstance(node, ast.FunctionDef):
            continue
        bound, first = copy.deepcopy(node), (node.args.posonlyargs + node.args.args)[:1]
        owner = mark.args[0] if kind == "patch_to" else first[0].annotation
        if "static_method=True" not in options:
            (bound.args.posonlyargs or bound.args.args).pop(0)
        return f"{ast.unparse(Unquoted().name(owner))}.{node.name}", bound
    return node.name, node


def definitions(tree: ast.Module) -> list[tuple[str, int, ast.AST]]:
    """Public definitions, and public methods that have a docstring: name, level of the heading,
    and the tree without the instance."""
    found = []
    for node in tree.body:
        if not isinstance(node, DEFS) or node.name.startswith("_"):
            continue
        name, node = method(node)
        found.append((name, 3, node))
        methods = [f for f in node.body if isinstance(f, ast.FunctionDef)] if isinstance(
            node, ast.ClassDef) else []
        found += [(f"{node.name}.{f.name}", 4, f) for f in methods
                  if not f.name.startswith("_") and ast.get_docstring(f)
                  and not any("property" in ast.unparse(d) for d in f.decorator_list)]
    return found


def documented(tree: ast.Module, source: str) -> list[tuple[str, int, str, str]]:
    "Name, level of the heading, signature and table of the parameters of each definition."
    return [(name, level, signature(node, name), table(node, source))
            for name, level, node in definitions(tree)]


def untold(cells: list[dict]) -> list[str]:
    "Parameters of exported functions and classes whose table would have no text for them."
    code = [plain(c["source"]) for c in cells if c["cell_type"] == "code"]
    shown = [s for s in code if directives(s).keys() & EXPORTED and "hide" not in directives(s)]
    bare = [f"{name}({row[0]})" for s in shown for name, _, node in definitions(ast.parse(s))
            if table(node, s) for row in entries(node, s) if not row[3]]
    remedy = "say in its docstring what it is, as `name`: text"
    return [f"{call} has no text: {remedy}" for call in bare]


def folded(cell, summary: str, fold: str = "true") -> None:
    cell.source = (f"#| code-fold: {fold}\n#| code-summary: "
                   f"{json.dumps(summary, ensure_ascii=False)}\n{cell.source}")


class Document(Processor):
    """A `show_doc` for every exported name; code that is no example is folded; only exported code
    will run."""

    def begin(self):
        for cell in self.nb.cells:
            if cell.cell_type == "markdown":
                cell.source = to_quarto(cell.source)
        self.shown = set(re.findall(
            r"^show_doc\(([\w.]+)", "\n".join(c.source for c in self.nb.cells), flags=re.M))
        self.nb.has_docs_ = bool(self.shown)
        self.nb.cells = [new for cell in self.nb.cells for new in self.cells(cell)]

    def cells(self, cell) -> list:
        keys = cell.directives_.keys() if cell.cell_type == "code" else set()
        if cell.cell_type != "code" or "hide" in keys or "#| eval: false" in cell.source:
            if "hide" in keys:
                cell.directives_["eval:"] = ["false"]
            return [cell]
        if "default_exp" in keys or not (cell.source.strip() or cell.get("outputs")):
            return []
        exported, private = bool(keys & EXPORTED), "exporti" in keys
        test = " ".join(cell.directives_.get("test", [])).replace("_", " ")
        if not (exported or private or "testi" in keys or "test" in keys):
            if not cell.source.startswith("show_doc("):
                cell.directives_["eval:"] = ["false"]  # no documentation depends on it
            return [cell]
        tree = ast.parse(plain(cell.source))
        cell.directives_ = {"exec_doc": []} if exported or private else {"eval:": ["false"]}
        if not exported and not test and all(isinstance(n, ast.Import | ast.ImportFrom)
                                             for n in tree.body):
            cell.source = "#| include: false\n" + cell.source
            return [cell]
        kind = "Source" if exported else "Private" if private else "Test helpers"
        docs = self.docs(tree, cell.source) if exported else []
        short = exported and len(cell.source.strip().splitlines()) <= OPEN
        made = ", ".join(names(tree))
        folded(cell, f"Test: {test}" if test else f"{kind}: {made}" if made else kind,
               "show" if short else "true")
        return [cell, *docs]

    def docs(self, tree: ast.Module, source: str) -> list:
        "Cells that show the documentation of what `tree` defines."
        made = []
        for name, level, call, listed in documented(tree, source):
            if name not in self.shown:
                made.append(mk_cell(f"show_doc({name}, title_level={level})"))
                made[-1].directives_, made[-1].call_, made[-1].table_ = {}, call, listed
        self.nb.has_docs_ |= bool(made)
        return made


class DocsFirst(Processor):
    """Documentation moves before its source, which had to run first, and shows the signature as
    written."""

    def begin(self):
        cells = []
        for cell in self.nb.cells:
            if not getattr(cell, "call_", None):
                cells.append(cell)
                continue
            at = next(i for i in range(len(cells) - 1, -1, -1)
                      if not getattr(cells[i], "call_", None))
            cells.insert(at, cell)
            for out in cell.outputs:
                out["data"]["text/markdown"] = [
                    self.page("".join(out["data"]["text/markdown"]), cell.call_, cell.table_)]
        self.nb.cells = cells

    def page(self, text: str, call: str, table: str) -> str:
        text = re.sub(r"\A---\n+(?:\[source\].*\n+)?", "", text)
        text = re.sub(r"```python\n.*?\n```", lambda m: f"```python\n{call}\n```", text, count=1,
                      flags=re.S)
        text = re.sub(r"^\*(.+)\*$", r"\1", text, count=1, flags=re.M)
        text = text.partition("\n|  | **Type**")[0].rstrip()  # nbdev's own table, without texts
        return f"{text}\n\n{table}\n" if table else text


class Filter(FilterDefaults):
    def base_procs(self):
        kept = [p for p in super().base_procs() if p.__name__ not in DROPPED]
        return [*kept[:1], Document, *kept[1:], DocsFirst]


def main() -> None:
    nb = dict2nb(json.load(sys.stdin))
    Filter()(nb)
    json.dump(nb2dict(nb), sys.stdout)


if __name__ == "__main__":
    main()
