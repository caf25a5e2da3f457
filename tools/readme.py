"""`nbs/index.ipynb` as README.md: `python -m tools.readme`."""
import re
from pathlib import Path

from tools.nb import read
from tools.page import fenced, joined, options

ROOT = Path(__file__).resolve().parent.parent


def code(cell: dict) -> str:
    "A code cell and its text outputs, as they are shown on the site."
    opts, source = options(cell["source"])
    if re.search(r"^#\|\s*(?:hide|default_exp|test)", cell["source"],
                 flags=re.M) or opts.get("include") is False:
        return ""
    source = re.sub(r"^#\|.*\n?", "", source, flags=re.M).strip()
    parts = [f"```python\n{source}\n```"] if source and opts.get("echo") is not False else []
    for out in cell["outputs"]:
        text = joined(out["text"] if out["output_type"] == "stream"
                      else out.get("data", {}).get("text/plain", ""))
        parts += [fenced(text.rstrip(), "").replace(" {}", "", 1)] if text.strip() else []
    return "\n\n".join(parts)


def readme(root: Path) -> str:
    "The text of README.md: links lead to the notebooks, divs of Quarto are left out."
    cells = read(root / "nbs/index.ipynb")["cells"]
    div = re.compile(r"^:{3,}.*\n?", flags=re.M)
    texts = [code(c) if c["cell_type"] == "code" else div.sub("", c["source"]) for c in cells]
    text = "\n\n".join(t.strip() for t in texts if t.strip())
    local = r"\]\((?![a-z]+:|#|\.\./|nbs/)([^)]+\.(?:ipynb|svg|png)(?:#[^)]*)?)\)"
    return re.sub(r'((?:src|srcset)=")(?=[\w-]+\.(?:svg|png)")', r"\1nbs/",
                  re.sub(local, r"](nbs/\1)", text)) + "\n"


def write(root: Path = ROOT) -> None:
    (root / "README.md").write_text(readme(root), encoding="utf-8")


if __name__ == "__main__":
    write()
