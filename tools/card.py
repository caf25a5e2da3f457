"""The picture that stands beside a link to the site: a PNG of the size that previews expect."""
import hashlib
import io
from pathlib import Path

SIZE = (1200, 630)  # pixels, the proportion of OpenGraph
INK, SOFT, ACCENT, PAPER = "#1d2430", "#5a6575", "#1f5fbf", "#f6f8fb"
POINTS = {"x": (0.62, 0.5), "h1": (0.75, 0.78), "h2": (0.75, 0.22), "y": (0.9, 0.5)}
EDGES = {("x", "h1"): 4, ("x", "h2"): 1, ("h1", "h2"): 1, ("h1", "y"): 4, ("h2", "y"): 1}


def card(path: Path, title: str, words: str) -> None:
    "Draw the card of a site, where the one that lies there says something else."
    told = hashlib.sha256(f"{title}\n{words}".encode() + Path(__file__).read_bytes()).hexdigest()
    if path.exists() and told.encode() in path.read_bytes():
        return
    data = io.BytesIO()
    drawn(title, words).savefig(data, format="png", dpi=100,
                                metadata={"Software": None, "Comment": told})
    path.write_bytes(data.getvalue())


def drawn(title: str, words: str):
    "Title and words at the left; at the right a graph, its most plausible edges in colour."
    import textwrap

    from matplotlib.figure import Figure

    figure = Figure(figsize=(SIZE[0] / 100, SIZE[1] / 100), facecolor=PAPER)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, 1), ylim=(0, 1))
    axes.set_axis_off()
    for (a, b), width in EDGES.items():
        (u, v), (s, t) = POINTS[a], POINTS[b]
        axes.plot([u, s], [v, t], color=ACCENT if width > 1 else SOFT, lw=width + 1,
                  alpha=1 if width > 1 else 0.5, zorder=1)
    for name, (u, v) in POINTS.items():
        axes.scatter(u, v, s=3600, color="white", edgecolor=INK, linewidth=2, zorder=2)
        axes.text(u, v, name, ha="center", va="center", fontsize=24, color=INK, zorder=3)
    axes.text(0.07, 0.62, title, fontsize=64, fontweight="bold", color=INK, va="bottom")
    axes.text(0.07, 0.56, "\n".join(textwrap.wrap(words, 30)), fontsize=25, color=SOFT, va="top",
              linespacing=1.5)
    return figure
