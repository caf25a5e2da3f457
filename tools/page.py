"""One notebook to one piece of HTML, by nbdev's processors and pandoc: what `tools.site` puts into
a page."""
import base64
import html
import re
import subprocess
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path

import yaml

ASSETS = Path(__file__).parent / "site"
CUT = "<!-- contents above, page below -->"
TITLE = re.compile(r"\A\s*#\s+(?P<title>.+?)\s*(?:\{[^}]*\}\s*)?$\n*(?P<sub>(?:^>.*\n?)+)?",
                   flags=re.M)
IMAGES = ("image/svg+xml", "image/png", "image/jpeg")
NARROW = 76  # columns that a telephone shows in one line, in letters that are small but can be read
ROWS = 96  # and those that it shows in letters as small as they may be
ANSI = re.compile(r"\x1B\[[0-?]*[ -/]*[@-~]")


@dataclass
class Page:
    "A rendered notebook and what other pages need to know of it."

    title: str
    body: str
    toc: str
    module: str = ""
    subtitle: str = ""
    problems: list[str] = field(default_factory=list)
    api: list[str] = field(default_factory=list)


def joined(text) -> str:
    return text if isinstance(text, str) else "".join(text)


def fenced(code: str, attributes: str) -> str:
    "A code block whose fence is longer than any in the code."
    ticks = "`" * max([3, *(len(t) + 1 for t in re.findall(r"`{3,}", code))])
    return f"{ticks} {{{attributes}}}\n{code}\n{ticks}"


def raw(markup: str) -> str:
    return fenced(markup, "=html")


def options(source: str) -> tuple[dict, str]:
    "The `#| key: value` lines at the head of a cell, and the code below them."
    lines = source.splitlines()
    n = next((i for i, line in enumerate(lines) if not line.startswith("#|")), len(lines))
    found = yaml.safe_load("\n".join(line[2:].removeprefix(" ") for line in lines[:n])) or {}
    return (found if isinstance(found, dict) else {}), "\n".join(lines[n:]).strip("\n")


def api_doc(markdown: str, sources: dict[str, str]) -> str:
    "The documentation of one name, with an anchor of that name and a link to its source."
    text = re.sub(r"\A---\n+(?:\[source\].*\n+)?", "", markdown)
    text = re.sub(r"^(#+) (\S+)", r'\1 `\2` {.api name="\2"}', text, count=1, flags=re.M)
    name = m[1] if (m := re.search(r'\{\.api name="([^"]+)"', text)) else ""
    own, of_class = sources.get(name.rpartition(".")[2]), sources.get(name.partition(".")[0])
    if at := of_class or own:
        link = f"[[source](#{at})]{{.to-source}}\n\n"
        text = re.sub(r"(?<=\n)(```+[ \w{.}]*\n)", lambda m: link + m[1], text, count=1)
    return f":::: {{.api-doc}}\n{text}\n::::"


def sources_of(cells: list[dict]) -> dict[str, str]:
    "Where the source of each documented name stands on the page: the anchor of its cell."
    found = {}
    for cell in cells:
        summary = str(options(joined(cell["source"]))[0].get("code-summary", ""))
        if cell["cell_type"] == "code" and summary.startswith("Source: "):
            names = summary.removeprefix("Source: ").split(", ")
            found |= {n: f"source-{names[0]}" for n in names if n not in found}
    return found


def image(kind: str, data: str, alt: str) -> str:
    """A picture with its alternative text. An SVG is a picture of its own, too: the names inside
    of two of them may be the same."""
    if kind == "image/svg+xml":
        data = base64.b64encode(data[data.find("<svg"):].encode()).decode()
    return raw(f'<p><img src="data:{kind};base64,{"".join(data.split())}" '
               f'alt="{html.escape(alt, quote=True)}"/></p>')


def printed(text: str) -> str:
    """What a cell printed. Letters are smaller where lines are long, and where columns stand under
    each other, so that a table stays a table."""
    lines = text.splitlines()
    longest = max(map(len, lines), default=0)
    mixed = longest > NARROW and any(map(aligned, lines))
    must = max(len(n) for n in lines if aligned(n)) if mixed else longest
    sizes = ((88, ""), (104, " wide"), (124, " wider"))
    size = next((name for limit, name in sizes if must <= limit), " wrapped")
    if not mixed:
        fit = f' style="--columns: {longest}"' if "\n" in text and longest <= NARROW else ""
        return fenced(text, f".output{size.replace(' ', ' .')}{fit}")
    parts = []
    for rows, group in groupby(lines, aligned):
        block = list(group)
        inner, most = html.escape("\n".join(block), quote=False), max(map(len, block))
        parts.append(f'<span class="rows" style="--columns: {most}">{inner}</span>'
                     if rows and most <= ROWS else inner)
    return raw(f'<pre class="output{size}"><code>{chr(10).join(parts)}</code></pre>')


def aligned(line: str) -> bool:
    "Whether a line looks like one of a table: cells with two blanks or more between them."
    return bool(re.search(r"\S {2,}\S", line))


def output(out: dict, opts: dict) -> str:
    "One output of a cell as markdown."
    if out["output_type"] == "stream":
        return printed(ANSI.sub("", joined(out["text"])).rstrip())
    if out["output_type"] == "error":
        return fenced(f"{out['ename']}: {out['evalue']}", ".output .error")
    data = {kind: joined(text) for kind, text in out["data"].items()}
    alt = str(opts.get("fig-alt", opts.get("fig-cap", "")))
    if "text/html" in data:
        return ":::: {.output-html}\n" + raw(data["text/html"]) + "\n::::"
    for kind in IMAGES:
        if kind in data:
            return image(kind, data[kind], alt)
    if "text/markdown" in data:
        return data["text/markdown"]
    if "text/latex" in data:
        return data["text/latex"]
    return printed(data.get("text/plain", ""))


def outputs(cell: dict, opts: dict) -> str:
    "The outputs of a cell; a labelled or captioned one becomes a figure or a table."
    made = "\n\n".join(output(o, opts) for o in cell.get("outputs", []))
    label, words = str(opts.get("label", "")), opts.get("tbl-cap") or opts.get("fig-cap") or ""
    if made and label.startswith(("fig-", "tbl-")):
        return f"::::: {{#{label}}}\n{made}\n\n{words}\n:::::"
    return made + (f"\n\n::: {{.caption}}\n{words}\n:::" if made and words else "")


def code_cell(cell: dict, sources: dict[str, str]) -> str:
    opts, source = options(joined(cell["source"]))
    if opts.get("include") is False:
        return ""
    if source.startswith("show_doc("):
        return "\n\n".join(api_doc(joined(o["data"]["text/markdown"]), sources)
                           for o in cell["outputs"])
    parts = []
    if source and opts.get("echo") is not False:
        parts.append(fenced(source, ".python"))
        if "code-fold" in opts and opts["code-fold"] is not False:
            summary = html.escape(str(opts.get("code-summary", "Code")))
            kind = summary.partition(":")[0].split()[0].lower()
            shown = " open" if opts["code-fold"] == "show" else ""
            at = sources.get(summary.removeprefix("Source: ").partition(",")[0], "")
            id = f' id="{at}"' if kind == "source" and at else ""
            start = f'<details class="code-fold {kind}"{id}{shown}><summary>{summary}</summary>'
            parts = [raw(start), parts[0], raw("</details>")]
    if opts.get("output") is not False:
        parts.append(outputs(cell, opts))
    return "\n\n".join(p for p in parts if p)


def markdown(cells: list[dict]) -> str:
    """The cells of a processed notebook as pandoc's markdown; links to notebooks become links to
    pages."""
    sources = sources_of(cells)
    texts = [code_cell(c, sources) if c["cell_type"] == "code" else joined(c["source"])
             for c in cells if c["cell_type"] != "raw"]
    return page_links("\n\n".join(t for t in texts if t.strip()))


def page_links(text: str) -> str:
    "`](../room/01_name.ipynb#x)` as `](../room/name.html#x)`."
    return re.sub(r"(?<=\]\()((?:[^)\s:]*/)?)(?:\d+_)?([\w-]+)\.(?:ipynb|html)(?=[#)])",
                  r"\1\2.html", text)


def page_name(stem: str) -> str:
    "The name of a page: that of the notebook without its number."
    return re.sub(r"^\d+_", "", stem)


def pandoc(text: str, bibliography: Path | None) -> tuple[str, str, list[str]]:
    "Contents, body, and what pandoc and the filter complained of."
    import pypandoc

    cmd = [pypandoc.get_pandoc_path(), "--from", "markdown", "--to", "html5", "--standalone",
           "--toc", "--toc-depth=3",
           "--mathml", "--wrap=none", "--syntax-highlighting=none", "--metadata=title:-",
           "--metadata=link-citations:true", "--metadata=lang:en",
           "--lua-filter", ASSETS / "quarto.lua", "--template", ASSETS / "fragment.html"]
    if bibliography:
        cmd += ["--citeproc", "--bibliography", bibliography]
    done = subprocess.run(cmd, input=text, capture_output=True, text=True, encoding="utf-8",
                          timeout=60)
    warning = re.compile(r"^\[WARNING\] (?:Scripting warning at .*? column \d+: )?", flags=re.M)
    problems = [" ".join(w.split()) for w in warning.split(done.stderr) if w.strip()]
    if done.returncode:
        return "", "", problems or [f"pandoc ended with {done.returncode}"]
    toc, _, body = done.stdout.partition(CUT)
    return toc.strip(), body.strip(), problems


def render(path: Path, bibliography: Path | None) -> Page:
    "The page of a notebook."
    from execnb.nbio import read_nb

    from tools.colour import coloured
    from tools.quarto_filter import Filter, untold

    nb = read_nb(path)
    silent = untold([dict(c) for c in nb.cells])
    sources = [c.source for c in nb.cells if c.cell_type == "code"]
    module = next((m[1] for s in sources if (
        m := re.search(r"^#\|\s*default_exp\s+(\S+)", s, flags=re.M))), "")
    Filter()(nb)
    text = markdown(nb.cells)
    head = TITLE.match(text)
    if not head:
        return Page(path.stem, "", "", problems=["the first cell has no `# Title`"])
    subtitle = re.sub(r"^> ?", "", head["sub"] or "", flags=re.M).strip()
    if subtitle:
        subtitle = f":::: {{.subtitle}}\n{subtitle}\n::::\n\n"
    toc, body, problems = pandoc(subtitle + text[head.end():], bibliography)
    body = coloured(body)
    body = re.sub(r"<colgroup>.*?</colgroup>\s*", "", body, flags=re.S)  # widths that fit nothing
    api = re.findall(r'<section id="([^"]+)" class="[^"]*api-doc', body)
    return Page(head["title"], body, toc, module, head["sub"] or "",
                silent + problems, api)


def attempt(notebook: Path, bibliography: Path | None) -> Page:
    "The page, or one that says what failed."
    try:
        return render(notebook, bibliography)
    except Exception as e:
        cause = e.__cause__ or e
        return Page(notebook.stem, "", "", problems=[f"{type(cause).__name__}: "
                                                     f"{' '.join(str(cause).split())[:300]}"])
