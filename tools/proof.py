"""What a finished site must keep: no dead link, no label twice, nothing from another host, and no
syntax that a reader should not see."""
import os
import re
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

LABEL = re.compile(r"(?:thm|lem|cor|prp|cnj|def|exm|exr|rem|alg|fig|tbl|eq|sec)-[\w-]+")
EXTERNAL = re.compile(r"\s*(?:https?:)?//")
SILENT = {"pre", "code", "math", "script", "style", "annotation", "svg"}
RAW = re.compile(r"[^\n]{0,20}(?::::|\$\$|(?<![\w$])\$(?=[\\\w{(])|\{#[a-z]+-)[^\n]{0,20}")
EMPTY = re.compile(r'<figcaption>\s*(?:<span class="caption-label">[^<]*</span>)?\s*</figcaption>')


class Facts(HTMLParser):
    """Anchors, links and loaded files of a page, what a reader sees as text, without code and
    mathematics, and how many captions have no words."""

    def __init__(self, text: str):
        super().__init__(convert_charrefs=True)
        self.ids, self.links, self.loads = [], [], []
        self.silent, self.words = [], []
        self.feed(text)
        self.empty = len(EMPTY.findall(text))

    def handle_endtag(self, tag):
        if self.silent and self.silent[-1] == tag:
            self.silent.pop()

    def handle_starttag(self, tag, attrs):
        if tag in SILENT:
            self.silent.append(tag)
        if not attrs:
            return
        a = {k: v or "" for k, v in attrs}
        if "id" in a:
            self.ids.append(a["id"])
        if tag == "a" and "href" in a:
            self.links.append(a["href"])
        for name in ("src", "srcset", "data", "poster",
                     *(["href"] if tag in ("link", "use", "image") else [])):
            if a.get(name):
                self.loads.append(a[name])
        if "style" in a:
            self.loads += re.findall(r"url\(['\"]?([^'\")]+)", a["style"])

    def handle_data(self, data):
        if not self.silent:
            self.words.append(data)
        if self.cdata_elem == "style":
            self.loads += re.findall(r"(?:url\(|@import\s+)['\"]?([^'\");]+)", data)


def html_files(dest: Path) -> list[Path]:
    "The pages of a site."
    return [f for f in sorted(dest.rglob("*.html"))
            if f.relative_to(dest).parts[0] not in ("pagefind", "site_libs")]


def check(dest: Path, names: dict[str, str]) -> list[str]:
    "Dead links, labels used twice and anything loaded from elsewhere, over all pages of a site."
    facts = {f.relative_to(dest).as_posix(): Facts(f.read_text(encoding="utf-8"))
             for f in html_files(dest)}
    bad, owner = [], {}
    for page, fact in facts.items():
        who = names.get(page, page)
        for id, n in Counter(fact.ids).items():
            if n > 1:
                bad.append(f"{who}: anchor #{id} stands {n} times on the page")
            if LABEL.fullmatch(id) and owner.setdefault(id, who) != who:
                bad.append(f"{who}: label {id} is also in {owner[id]}; rename one")
        bad += [f"{who}: loads {u} from another host; ship it with the site" for u in fact.loads
                if EXTERNAL.match(u)]
        bad += [f"{who}: link {link} leads nowhere: {why}" for link in dict.fromkeys(fact.links)
                if not link.startswith("#ref-") and (why := dead(link, page, facts, dest))]
        bad += [f"{who}: {what}" for what in seen(fact)]
    for file in sorted(dest.rglob("*.css")):
        urls = re.findall(r"url\(['\"]?([^'\")]+)", file.read_text(encoding="utf-8"))
        bad += [f"{file.name}: loads {u} from another host" for u in urls if EXTERNAL.match(u)]
    return bad


def dead(link: str, page: str, facts: dict[str, Facts], dest: Path) -> str:
    "Why a link leads nowhere; empty where it leads somewhere, or to another site."
    parts = urlsplit(link)
    if parts.scheme or parts.netloc or link == "#":
        return ""
    target = os.path.normpath(PurePosixPath(page).parent
                              / unquote(parts.path)) if parts.path else page
    if target not in facts:
        return "" if (dest / target).is_file() else f"there is no page {target}"
    anchor = unquote(parts.fragment)
    return "" if not anchor or anchor in facts[target].ids else f"{target} has no anchor #{anchor}"


def seen(page: Facts) -> list[str]:
    "What is wrong with the text of a page: syntax that was not understood, captions without words."
    bad = [f"the page shows {m[0].strip()!r}" for m in RAW.finditer("".join(page.words))]
    return bad + ["a figure has an empty caption"] * page.empty
