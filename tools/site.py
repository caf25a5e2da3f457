"""The site, in `_docs`: `python -m tools.site [--pandoc]`.

`_quarto.yml` defines it. Quarto renders it where it is installed; elsewhere every notebook becomes
a page by nbdev and pandoc (`tools.page`), and only the pages whose notebook or tools changed are
rendered again. The build fails, and names page and label, for a cross-reference or citation that
does not resolve, a dead link, a label used twice, and anything that would be loaded from another
host. KaTeX and the search index are served from the site itself.
"""
import argparse
import hashlib
import html
import json
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from configparser import ConfigParser
from importlib import metadata
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

import yaml

from tools.card import card
from tools.house import imports, library
from tools.page import ASSETS, Page, attempt, page_name
from tools.proof import check, html_files
from tools.register import missing, register

ROOT = Path(__file__).resolve().parent.parent
RENDERERS = [ASSETS.parent / n for n in ("page.py", "colour.py", "quarto_filter.py", "reading.py",
                                         "apidoc.py", "site/quarto.lua", "site/fragment.html",
                                         "site/parameters.yml")]
STATIC = ("site.css", "site.js", "logo.svg")


# The site's plan


def sections(config: dict, root: Path) -> list[tuple[str, list[Path]]]:
    """The sidebar of `_quarto.yml`: names of sections and their notebooks, globs expanded in the
    order of the names."""
    found, seen = [], set()
    for item in config["website"]["sidebar"]["contents"]:
        entries = item["contents"] if isinstance(item, dict) and "contents" in item else [item]
        paths = [p for entry in ([entries] if isinstance(entries, str) else entries)
                 for p in sorted(root.glob(entry["auto"] if isinstance(entry, dict) else entry))]
        paths = [p for p in dict.fromkeys(paths) if p not in seen]
        seen |= set(paths)
        if paths:
            found.append((item.get("section", "") if isinstance(item, dict) else "", paths))
    return found


def url(notebook: Path, root: Path) -> str:
    "`nbs/distributions/01_gaussian.ipynb` is `distributions/gaussian.html`."
    parts = notebook.relative_to(root / "nbs").with_suffix("").parts
    return "/".join(page_name(p) for p in parts) + ".html"


def plan(config: dict, root: Path) -> tuple[list[tuple[str, list[Path]]], list[str]]:
    "The sections, and what is wrong with them."
    found = sections(config, root)
    pages = [p for _, paths in found for p in paths]
    every = [p for p in sorted((root / "nbs").rglob("*.ipynb"))
             if not any(x[0] in "._" for x in p.relative_to(root).parts)]
    bad = [f"{p.relative_to(root)}: in no section of _quarto.yml; add it to the sidebar"
           for p in every if p not in pages]
    twice = [u for u, n in Counter(url(p, root) for p in pages).items() if n > 1]
    makers = {u: " and ".join(p.name for p in pages if url(p, root) == u) for u in twice}
    return found, bad + [f"{u}: made by {names}; rename one" for u, names in makers.items()]


# One page after the other, those that changed


def entries(bibliography: Path) -> dict[str, str]:
    "The entries of a BibTeX file by their keys."
    text = bibliography.read_text(encoding="utf-8") if bibliography.exists() else ""
    parts = re.split(r"^(?=@\w+\s*\{)", text, flags=re.M)
    return {m[1]: p for p in parts if (m := re.match(r"@\w+\s*\{\s*([^,\s]+)\s*,", p))}


def bibliography_problems(path: Path) -> list[str]:
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    keys = Counter(re.findall(r"^@(?!comment|string|preamble)\w+\s*\{\s*([^,\s]+)\s*,", text,
                              flags=re.M | re.I))
    return [f"{path.name}: key {k} is defined {n} times; keep one" for k, n in keys.items()
            if n > 1]


def key(notebook: Path, tools: bytes, cited: dict[str, str]) -> str:
    "Changes when the page has to be rendered again."
    text = notebook.read_bytes()
    used = "".join(entry for name, entry in sorted(cited.items()) if f"@{name}".encode() in text)
    return hashlib.sha256(tools + text + used.encode()).hexdigest()


def rendered(notebooks: list[Path], root: Path, bibliography: Path,
             store: Path) -> tuple[dict[Path, Page], int]:
    "Every page, and how many of them had to be rendered; `store` keeps the others."
    old = json.loads(store.read_text(encoding="utf-8")) if store.exists() else {}
    tools = b"".join(f.read_bytes() for f in RENDERERS)
    cited = entries(bibliography)
    keys = {p: key(p, tools, cited) for p in notebooks}
    names = {p: p.relative_to(root).as_posix() for p in notebooks}
    pages = {p: Page(**old[names[p]]["page"]) for p in notebooks
             if old.get(names[p], {}).get("key") == keys[p]}
    todo = [p for p in notebooks if p not in pages]
    bibs = [bibliography if bibliography.exists() else None] * len(todo)
    if len(todo) > 2:
        with ProcessPoolExecutor(2) as pool:
            pages |= zip(todo, pool.map(attempt, todo, bibs), strict=True)
    else:
        pages |= {p: attempt(p, b) for p, b in zip(todo, bibs, strict=True)}
    kept = {names[p]: {"key": keys[p], "page": vars(pages[p])} for p in notebooks
            if not pages[p].problems}
    write(store, json.dumps(kept, ensure_ascii=False))
    return pages, len(todo)


def write(path: Path, text: str) -> None:
    "Write what is new, leave what is not."
    data = text.encode()
    if not path.exists() or path.read_bytes() != data:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


# Pages from their pieces


def plain(title: str) -> str:
    return html.escape(title.replace("`", ""))


def words_of(page: Page) -> str:
    "The subtitle in one line."
    return " ".join(re.sub(r"^>", "", page.subtitle, flags=re.M).split())


def symbols(pages: dict[Path, Page], root: Path) -> dict[str, set[str]]:
    """Where each documented name stands: `kl`, `gaussian.kl`, `bstruct.distributions.gaussian.kl`;
    and modules."""
    found: dict[str, set[str]] = {}
    for path, page in pages.items():
        if not page.module:
            continue
        full = f"bstruct.{page.module}"
        found.setdefault(full, set()).add(url(path, root))
        for name in page.api:
            dotted = f"{full}.{name}".split(".")
            for i in range(len(dotted) - name.count(".")):
                found.setdefault(".".join(dotted[i:]), set()).add(f"{url(path, root)}#{name}")
    return found


def linked(body: str, here: str, known: dict[str, set[str]]) -> str:
    """Inline code that is a documented name becomes a link to its documentation; in the
    documentation of a function the names of its own parameters do not."""
    section = re.compile(r'(<section id="[^"]+" class="api api-doc.*?</section>)', re.S)
    own = lambda part: set(re.findall(r"<tr>\s*<td[^>]*><code>(\w+)</code>", part))
    return "".join(links(part, here, known, own(part) if i % 2 else set())
                   for i, part in enumerate(section.split(body)))


def links(body: str, here: str, known: dict[str, set[str]], own: set[str]) -> str:
    "A part of a page with its links; `own` names stay as they are."
    def link(m: re.Match) -> str:
        if m["name"] in own:
            return m[0]
        places = known.get(m["name"] or "", set())
        near = [p for p in places if p.startswith(here + "#")]
        target = near[0] if near else next(iter(places)) if len(places) == 1 else None
        return f'<a class="doc" href="{relative(target, here)}">{m[0]}</a>' if target else m[0]

    skipped = "|".join(rf"<{tag}\b.*?</{tag}>" for tag in ("a", "pre", "h3", "h4", "h2", "summary"))
    skipped += r"|<table>\s*<thead>\s*<tr[^>]*>\s*<th[^>]*>parameter</th>.*?</table>"
    pattern = rf"{skipped}|<code>(?P<name>[A-Za-z][\w.]*)(?:\(\))?</code>"
    return re.sub(pattern, link, body, flags=re.S)


def relative(target: str, here: str) -> str:
    page, _, anchor = target.partition("#")
    path = "" if page == here else os.path.relpath(page, str(PurePosixPath(here).parent))
    return path + (f"#{anchor}" if anchor else "")


def users(pages: dict[Path, Page], root: Path) -> dict[Path, list[Path]]:
    "The pages whose modules import the module of a page, in the order of the book."
    modules = {f"bstruct.{page.module}": p for p, page in pages.items() if page.module}
    edges, found = imports(library(root)), {p: [] for p in pages}
    for name, path in modules.items():
        for used in edges.get(name, {}):
            if used in modules:
                found[modules[used]].append(path)
    return found


def assemble(found: list[tuple[str, list[Path]]], pages: dict[Path, Page], site: str, root: Path,
             dest: Path) -> None:
    "Write every page with its navigation."
    import jinja2

    math, address = copy_assets(dest), home(root)
    first = next((page for path, page in pages.items() if url(path, root) == "index.html"), None)
    card(dest / "card.png", site, words_of(first) if first else "")
    for image in [f for kind in ("svg", "png") for f in (root / "nbs").rglob(f"*.{kind}")]:
        copy = dest / image.relative_to(root / "nbs")
        if not copy.exists() or copy.read_bytes() != image.read_bytes():
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(image, copy)
    template = jinja2.Environment(autoescape=False, undefined=jinja2.StrictUndefined,
                                  trim_blocks=True).from_string(
        (ASSETS / "page.html").read_text(encoding="utf-8"))
    known, listed = symbols(pages, root), [p for _, paths in found for p in paths]
    order = [*listed, *(p for p in pages if p not in listed)]
    links = {p: {"href": url(p, root), "text": plain(pages[p].title)} for p in order}
    readers = users({p: pages[p] for p in order}, root)
    for i, path in enumerate(order):
        here, page = url(path, root), pages[path]
        up = "../" * here.count("/")
        nav = [(name, [links[p] | {"current": p == path} for p in paths]) for name, paths in found]
        write(dest / here, template.render(
            site=html.escape(site), nav=nav, page=page, up=up, math=math, title=plain(page.title),
            heading=re.sub(r"`([^`]*)`", r"<code>\1</code>", html.escape(page.title, quote=False)),
            description=plain(words_of(page)),
            body=linked(page.body, here, known), section=next(
                (n for n, paths in found if path in paths), ""),
            used=[links[p] for p in readers[path]],
            previous=links[order[i - 1]] if 0 < i < len(listed) else None,
            next=links[order[i + 1]] if i + 1 < len(listed) else None,
            address=address, here=here, lost=urlsplit(address).path if here == "404.html" else "",
            notebook=PurePosixPath(here).with_suffix(".ipynb").name if path.exists() else ""))
        if path.exists():  # under the name of its page, and so are those it links to
            text = path.read_text(encoding="utf-8")
            write((dest / here).with_suffix(".ipynb"),
                  re.sub(r"(?<=[(/])\d+_([\w-]+\.ipynb)(?=[#)])", r"\1", text))


def home(root: Path) -> str:
    "The address of the site, of settings.ini; empty where there is none."
    ini = ConfigParser(delimiters=["="])
    ini.read(root / "settings.ini", encoding="utf-8")
    told = dict(ini["DEFAULT"]) if (root / "settings.ini").exists() else {}
    return told.get("doc_host", "") + told.get("doc_baseurl", "")


def added(found: list, pages: dict[Path, Page], site: str, root: Path) -> tuple[list, dict]:
    "The sections and pages with those that no notebook makes: the index, and the page of nowhere."
    order = [p for _, paths in found for p in paths]
    index, nowhere = root / "nbs/register.ipynb", root / "nbs/404.ipynb"
    made = {index: register({url(p, root): pages[p] for p in order}), nowhere: missing(site)}
    return [*found, ("Index", [index])], pages | made


def katex() -> list[Path]:
    """KaTeX's files, of the package that ships them; none where it is not installed: browsers then
    show MathML."""
    try:
        files = metadata.files("djangocms-katex") or []
    except metadata.PackageNotFoundError:
        return []
    found = [Path(f.locate()) for f in files if "/katex/" in str(f)]
    return [f for f in found if f.name in ("katex.min.js", "katex.min.css", "LICENSE")
            or f.suffix == ".woff2"]


def copy_assets(dest: Path) -> bool:
    "Style, script, logo and KaTeX; says whether KaTeX is there."
    for name in STATIC:
        write(dest / name, (ASSETS / name).read_text(encoding="utf-8"))
    for file in (files := katex()):
        copy = dest / "katex" / ("fonts" if file.suffix == ".woff2" else "") / file.name
        if not copy.exists() or copy.stat().st_size != file.stat().st_size:
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, copy)
    return bool(files)


# The search


def search_index(dest: Path) -> None:
    "Pagefind's index of the pages, made again where a page is newer or gone."
    entry, pages = dest / "pagefind/pagefind-entry.json", html_files(dest)
    if entry.exists() and entry.stat().st_mtime > max(f.stat().st_mtime for f in pages):
        if sum(v["page_count"] for v in json.loads(entry.read_text())["languages"].values()) == len(
            pages):
            return
    shutil.rmtree(dest / "pagefind", ignore_errors=True)
    options = ["--site", dest, "--exclude-selectors", "math, .code-fold, .eqno"]
    done = subprocess.run([sys.executable, "-m", "pagefind", *options], capture_output=True,
                          text=True)
    if done.returncode:
        raise SystemExit(f"pagefind failed: {(done.stderr or done.stdout).strip()[-500:]}")


# The two renderers


def with_pandoc(config: dict, root: Path, dest: Path) -> tuple[int, int, list[str]]:
    "Render without Quarto: the number of pages, of those rendered now, and the problems."
    found, bad = plan(config, root)
    bibliography = root / config.get("bibliography", "nbs/references.bib")
    order = [p for _, paths in found for p in paths]
    pages, new = rendered(order, root, bibliography, dest / ".pages.json")
    site = config["website"]["title"]
    shown, every = added(found, pages, site, root)
    assemble(shown, every, site, root, dest)
    wanted = {url(p, root) for p in every}
    for stale in [f for f in html_files(dest) if f.relative_to(dest).as_posix() not in wanted]:
        stale.unlink()
        stale.with_suffix(".ipynb").unlink(missing_ok=True)
    names = {url(p, root): p.relative_to(root).as_posix() for p in order}
    bad += bibliography_problems(bibliography)
    bad += [f"{p.relative_to(root)}: {problem}" for p, page in pages.items()
            for problem in page.problems]
    broken = {names[url(p, root)] for p, page in pages.items() if page.problems}
    bad += [line for line in check(dest, names)
            if not (": the page shows " in line and line.partition(":")[0] in broken)]
    if not bad:
        search_index(dest)
    return len(order), new, bad


def stage(config: dict, root: Path, dest: Path, proc: Path) -> None:
    "A Quarto project of filtered notebooks under the names of their pages."
    from execnb.nbio import read_nb, write_nb

    from tools.quarto_filter import Filter

    found, _ = plan(config, root)
    contents = []
    for name, paths in found:
        staged = [Path(url(p, root)).with_suffix(".ipynb") for p in paths]
        contents.append({"section": name, "contents": [s.as_posix() for s in staged]})
        for path, copy in zip(paths, staged, strict=True):
            nb = read_nb(path)
            Filter()(nb)
            for cell in nb.cells:
                if cell.cell_type == "markdown":
                    cell.source = re.sub(r"(?<=[(/])\d+_([\w-]+\.ipynb)(?=[#)])", r"\1",
                                         cell.source)
            (proc / copy).parent.mkdir(parents=True, exist_ok=True)
            write_nb(nb, proc / copy)
    made = {k: v for k, v in config.items() if k != "ipynb-filters"} | {
        "project": {"type": "website", "output-dir": os.path.relpath(dest, proc)},
        "bibliography": "references.bib"}
    sidebar = config["website"]["sidebar"] | {"contents": contents}
    made["website"] = config["website"] | {"favicon": "logo.svg", "sidebar": sidebar}
    shutil.copy(root / config["bibliography"], proc / "references.bib")
    shutil.copy(ASSETS / "logo.svg", proc)
    (proc / "_quarto.yml").write_text(yaml.safe_dump(made, sort_keys=False), encoding="utf-8")


def with_quarto(config: dict, root: Path, dest: Path) -> tuple[int, int, list[str]]:
    "Render with Quarto, from a staged copy in `_proc`."
    proc = root / "_proc"
    shutil.rmtree(proc, ignore_errors=True)
    proc.mkdir()
    stage(config, root, dest, proc)
    done = subprocess.run(["quarto", "render", proc], capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"quarto failed: {done.stderr.strip()[-2000:]}")
    found, bad = plan(config, root)
    names = {url(p, root): p.relative_to(root).as_posix() for _, paths in found for p in paths}
    unresolved = re.compile(r"\?@[\w-]+")
    bad += [f"{name}: {label} does not resolve" for u, name in names.items()
            for label in sorted(set(unresolved.findall((dest / u).read_text(encoding="utf-8"))))]
    return len(names), len(names), bad + bibliography_problems(
        root / config["bibliography"]) + check(dest, names)


def build(root: Path = ROOT, pandoc: bool = False) -> tuple[int, int, list[str]]:
    config = yaml.safe_load((root / "_quarto.yml").read_text(encoding="utf-8"))
    dest = root / config["project"]["output-dir"]
    dest.mkdir(exist_ok=True)
    return (with_pandoc if pandoc or not shutil.which("quarto")
            else with_quarto)(config, root, dest)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pandoc", action="store_true",
                        help="do not use Quarto, even where it is installed")
    n, new, bad = build(pandoc=parser.parse_args().pandoc)
    if bad:
        sys.exit("\n".join(bad))
    print(f"{n} pages, {new} rendered now, in _docs/index.html; to search: python -m http.server "
          "-d _docs")


if __name__ == "__main__":
    main()
