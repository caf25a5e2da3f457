"""Does anything stick out of a page? `python -m tools.layout [page ...]` looks at the site in
`_docs` with Chromium, as wide as a laptop and as a telephone, and names page, element and pixels.

On a laptop nothing may be wider than its place. On a telephone a long equation or a wide table may
be moved sideways within its own box, and nothing else; the page itself never.
"""
import functools
import sys
import threading
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tools.browser import Browser

ROOT = Path(__file__).resolve().parent.parent
WIDTHS = (1280, 390)
BOXES = ("pre, table, figure, img, svg, .katex-display, math, .output-html, .equation, "
         "h1, h2, h3, p, li")
LOOK = """(() => {
  document.querySelectorAll("main details").forEach(d => d.open = true);
  window.dispatchEvent(new Event("resize"));
  return new Promise(done => setTimeout(() => {
    const wide = WIDTH, bad = [], name = e => e.tagName.toLowerCase() +
      (typeof e.className === "string" && e.className ? "." + e.className.split(" ")[0] : "") +
      " " + (e.textContent || e.alt || "").trim().slice(0, 40).replace(/\\s+/g, " ");
    const page = document.documentElement.scrollWidth;
    if (page > wide) bad.push(`the page is ${page} pixels wide`);
    const moves = e => { for (let p = e; p && p !== document.body; p = p.parentElement)
      if (/auto|scroll/.test(getComputedStyle(p).overflowX) && p.tagName !== "MAIN") return p; };
    for (const e of document.querySelectorAll("main :is(BOXES)")) {
      if (e.closest(".katex") || e.closest("svg")?.parentElement?.closest?.("svg")) continue;
      const box = moves(e), phone = wide < 600;
      const tight = e.matches("pre") || (box === e && !phone);
      if (tight && e.scrollWidth > e.clientWidth + 1)
        bad.push(`${name(e)}: ${e.scrollWidth} pixels in ${e.clientWidth}`);
      if (!box && e.getBoundingClientRect().right > wide + 1)
        bad.push(`${name(e)}: ends at ${Math.round(e.getBoundingClientRect().right)} of ${wide}`);
    }
    done([...new Set(bad)]);
  }, 120));
})()""".replace("BOXES", BOXES)


@contextmanager
def served(folder: Path):
    "The address of a folder while it is served."
    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_): pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=folder))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def faults(browser: Browser, address: str, widths: tuple[int, ...] = WIDTHS) -> list[str]:
    "What sticks out of a page at each width."
    found = []
    for width in widths:
        browser.size(width)
        browser.go(address)
        found += [f"at {width}: {what}" for what in browser.run(LOOK.replace("WIDTH", str(width)))]
    return found


def pages(folder: Path) -> list[str]:
    "The pages of a site."
    files = sorted(folder.rglob("*.html"))
    return [f.relative_to(folder).as_posix() for f in files if "pagefind" not in f.parts]


def main(names: list[str]) -> None:
    site, bad = ROOT / "_docs", []
    with served(site) as address, Browser() as browser:
        for name in names or pages(site):
            bad += [f"{name} {what}" for what in faults(browser, f"{address}/{name}")]
    print("\n".join(bad) or "nothing sticks out")
    sys.exit(bool(bad))


if __name__ == "__main__":
    main(sys.argv[1:])
