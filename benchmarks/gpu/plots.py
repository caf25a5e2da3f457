"Figures of one file of results; what was not measured is left out."
import json
from pathlib import Path

KINDS = {"eager": "eager_a_minute", "CUDA graph": "graph_a_minute"}


def rows(found: dict, section: str, table: str) -> list[dict]:
    "Rows of a table that were measured without an error; none where the section has not run."
    return [r for r in found["sections"].get(section, {}).get(table, []) if "error" not in r]


def rates(ax, found: dict) -> None:
    "Structures a minute by tile."
    given = sorted(rows(found, "rate", "tiles"), key=lambda r: r["tile"])
    for name, key in KINDS.items():
        there = [r for r in given if r.get(key)]
        if there:
            ax.plot([r["tile"] for r in there], [r[key] for r in there], "o-",
                    label=f"steps, {name}")
    for section, table, key, name in (("rate", "whole", "a_minute", "whole evidence"),
                                      ("compiled", "tiles", "compiled_graph_a_minute",
                                       "compiled, CUDA graph")):
        there = sorted((r for r in rows(found, section, table) if r.get(key)),
                       key=lambda r: r["tile"])
        if there:
            ax.plot([r["tile"] for r in there], [r[key] for r in there], "s--", label=name)
    for threads in sorted({r["threads"] for r in rows(found, "cpu", "tiles")}):
        there = sorted((r for r in rows(found, "cpu", "tiles") if r["threads"] == threads),
                       key=lambda r: r["tile"])
        label = f"processor, {threads} thread{'s' * (threads > 1)}"
        ax.plot([r["tile"] for r in there], [r["a_minute"] for r in there], "^:", color="0.5",
                label=label)
    if target := found["sections"].get("rate", {}).get("target"):
        ax.axhline(target, color="0.7", lw=0.8)
    ax.set(xscale="log", yscale="log", xlabel="structures side by side",
           ylabel="structures a minute")
    if ax.lines:
        ax.legend(fontsize=7)


def hypergradients(ax, found: dict) -> None:
    "Time of the methods in units of the plain gradients of the same training."
    given = [r for r in rows(found, "hypergradient", "methods") if r.get("gradients")][::-1]
    ax.barh([r["method"] for r in given], [r["gradients"] for r in given], color="0.6")
    ax.tick_params(axis="y", labelsize=7)
    ax.set(xlabel="time / plain gradients")


def modes(ax, found: dict) -> None:
    "Wall seconds of the modes on the device and on the processor."
    for i, (table, name) in enumerate((("device", found["device"]), ("cpu", "its processor"))):
        given = rows(found, "modes", table)
        ax.barh([f"{r['mode']}, {name}"[:34] for r in given], [r["seconds"] for r in given],
                color=["C0", "0.6"][i])
    ax.tick_params(axis="y", labelsize=7)
    ax.set(xlabel="wall seconds")


def memory(ax, found: dict) -> None:
    "Peak bytes by tile beside the forecast."
    given = sorted(rows(found, "memory", "tiles"), key=lambda r: r["tile"])
    for key, style in (("forecast_bytes", "s--"), ("peak_bytes", "o-")):
        there = [r for r in given if r.get(key)]
        if there:
            ax.plot([r["tile"] for r in there], [r[key] / 1e9 for r in there], style,
                    label=key.partition("_")[0])
            ax.legend(fontsize=7)
    ax.set(xscale="log", yscale="log", xlabel="structures side by side", ylabel="GB")


def figure(found: dict):
    "The four panels."
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    fig, axes = plt.subplots(2, 2, figsize=(9, 6.4), layout="constrained")
    for ax, panel in zip(axes.flat, (rates, modes, hypergradients, memory)):
        panel(ax, found)
    fig.suptitle(f"{found['device']}, torch {found['versions']['torch']}", fontsize=9)
    return fig


def draw(file: Path) -> list[Path]:
    "SVG and PNG beside the file."
    fig = figure(json.loads(Path(file).read_text()))
    written = [Path(file).with_suffix(end) for end in (".svg", ".png")]
    for path in written:
        fig.savefig(path, dpi=140)
    return written
