"""Pages that no notebook makes: the index of results and names, and the one for a wrong address."""
import html
import re

from tools.page import Page

RESULT = re.compile(r'<div id="((?:thm|lem|cor|prp|cnj|def|alg)-[\w-]+)" '
                    r'class="[^"]*theorem[^"]*">\s*<p>\s*'
                    r'<span class="theorem-title">(.*?)</span>(?=\s|</p>)', re.S)
ERRATUM = re.compile(r'<a id="(erratum-[\w-]+)"></a>\s*<strong>(.*?)</strong>', re.S)
GROUPS = {"Theorems": "thm lem cor prp cnj", "Definitions": "def", "Algorithms": "alg"}


def results(pages: dict[str, Page]) -> dict[str, list[tuple[str, str]]]:
    "Of each group the entries: what is shown, and the address."
    found = {name: [] for name in [*GROUPS, "Errata", "Names"]}
    for address, page in pages.items():
        for label, title in RESULT.findall(page.body):
            kind = label.partition("-")[0]
            group = next(g for g, kinds in GROUPS.items() if kind in kinds.split())
            words = re.sub(r"^<strong>.*?</strong>\s*", "", title.strip(), flags=re.S).strip()
            words = words.removeprefix("(").removesuffix(")") or label.partition("-")[2]
            found[group].append((capital(words), f"{address}#{label}"))
        found["Errata"] += [(t, f"{address}#{id}") for id, t in ERRATUM.findall(page.body)]
        found["Names"] += [(f"<code>{html.escape(n)}</code> <small>{html.escape(page.module)}"
                            "</small>", f"{address}#{n}") for n in page.api]
    word = lambda entry: re.sub(r"<[^>]+>|\W", "", entry[0]).lower()
    return {g: e if g == "Errata" else sorted(e, key=word) for g, e in found.items() if e}


def capital(words: str) -> str:
    return words[:1].upper() + words[1:]


def register(pages: dict[str, Page]) -> Page:
    "The index: theorems, definitions, errata and the names of the library, with their pages."
    titles = {a: p.title.replace("`", "") for a, p in pages.items()}
    body, toc = [], []
    for group, found in results(pages).items():
        anchor = group.lower()
        toc.append(f'<li><a href="#{anchor}">{group}</a></li>')
        body.append(f'<h2 id="{anchor}">{group}</h2>\n<ul class="register">')
        for words, address in found:
            place = html.escape(titles[address.partition("#")[0]])
            tail = "" if group == "Names" else f' <small>{place}</small>'
            body.append(f'<li><a href="{address}">{words}</a>{tail}</li>')
        body.append("</ul>")
    contents = f"<ul>\n{chr(10).join(toc)}\n</ul>" if toc else ""
    return Page("Index", "\n".join(body), contents,
                subtitle="> Every theorem, definition, erratum and public name, with its page.")


def missing(site: str) -> Page:
    "The page for an address that leads nowhere."
    return Page("There is no such page", "<p>The address leads nowhere. The list of pages and the "
                f'search stand on <a href="index.html">the first page of {html.escape(site)}</a>.'
                "</p>", "", subtitle="> The address leads nowhere.")
