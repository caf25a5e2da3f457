"""Notebooks to library and tests: `python -m tools.export [notebook ...]` (all of them without an
argument).

An `#| export` cell goes to `bstruct/<default_exp>.py`, by nbdev itself. Two directives of our own
fill `tests/`: `#| test name` makes the cell the body of `test_name`, `#| testi` copies the cell as
it is (imports, helpers, strategies). `#| gpu` and `#| slow` become marks. `nbs/index.ipynb` becomes
README.md. Before all that, the estimators' signature is made from `Settings` by `tools.signature`.
"""
import argparse
import ast
import textwrap
from pathlib import Path

from execnb.nbio import mk_cell
from nbdev.config import add_init, get_config
from nbdev.doclinks import _build_modidx
from nbdev.export import ExportModuleProc, nb_export, scrub_magics
from nbdev.maker import ModuleMaker
from nbdev.process import NBProcessor

from tools.readme import write as write_readme
from tools.signature import write as write_signature


def notebooks(root: Path) -> list[Path]:
    "Every notebook of the project, in the order of the names."
    files = (root / "nbs").rglob("*.ipynb")
    return sorted(f for f in files if not any(p.startswith((".", "_"))
                                              for p in f.relative_to(root).parts))


def as_test(name: str, source: str, marks: list[str]) -> str:
    "The cell as the body of a pytest function; refused where indenting would change a string."
    res = f"def test_{name}():\n" + textwrap.indent(source, "    ")
    if ast.dump(ast.Module(ast.parse(res).body[0].body, [])) != ast.dump(ast.parse(source)):
        raise ValueError(f"#| test {name}: indenting changes a multi-line string; move it to a #| "
                         "testi cell")
    return "".join(f"@pytest.mark.{m}\n" for m in marks) + res


class TestProc(ExportModuleProc):
    "nbdev's export processor, collecting test cells instead of exported ones."

    def begin(self):
        super().begin()
        self.default_exp, self.cells = None, []

    def _exporti_(self, cell, exp_to=None): pass

    def _testi_(self, cell): self.cells.append(cell)

    def _test_(self, cell, name):
        marks = [f for f in get_config().tst_flags.split() if f in cell.directives_]
        cell.source = as_test(name, cell.source, marks)
        self.cells.append(cell)


def export_tests(nb: Path, tests: Path) -> None:
    "Write `test_<module>.py`, or `test_<notebook>.py` where the notebook has no module."
    proc = TestProc()
    NBProcessor(nb, [scrub_magics, proc]).process()
    if not proc.cells:
        return
    module = proc.default_exp
    head = mk_cell("import pytest  # noqa: F401"
                   + (f"\n\nfrom bstruct.{module} import *" if module else ""))
    head["id"] = "auto"  # a fixed id: the default one is random
    name = "test_" + (module or nb.stem.lstrip("0123456789_")).replace(".", "_")
    ModuleMaker(tests, name, nb, parse=False).make([head, *proc.cells])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("notebooks", nargs="*", type=Path)
    args = parser.parse_args()
    root = Path(get_config().config_path)
    write_signature(root)
    for nb in [f.resolve() for f in args.notebooks] or notebooks(root):
        nb_export(nb, lib_path=get_config().lib_path)
        export_tests(nb, root / "tests")
    if (root / "nbs/index.ipynb").exists():
        write_readme(root)
    add_init()
    if not args.notebooks:
        _build_modidx()


if __name__ == "__main__":
    main()
