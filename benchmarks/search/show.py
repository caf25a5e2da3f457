"The table on the screen and the pictures."
from pathlib import Path

import matplotlib

matplotlib.use("agg")
import matplotlib.pyplot as plt

from bstruct.experiments.study import plot_scores

GOALS = {"digits": {"accuracy": 0.975, "log_loss": 0.088, "cpu_ratio": 20.0}}
HEADS = {"accuracy": "accuracy", "rmse": "RMSE", "coverage": "90 % interval",
         "log_loss": "-ln p, nats", "cpu_ratio": "CPU ratio"}
DIGITS = {"rmse": 2, "cpu_ratio": 2}


def seeds(count: int) -> str:
    return f"{count} seed" + "s" * (count != 1)


def print_columns(head: list[str], rows: list[list[str]]) -> None:
    width = [max(map(len, column)) for column in zip(head, *rows)]
    for row in [head, *rows]:
        print("  ".join([row[0].ljust(width[0]), *(
            v.rjust(w) for v, w in zip(row[1:], width[1:]))]))


def print_table(result: dict) -> None:
    "Mean ± standard deviation over the seeds, a line a method."
    keys = [k for k in HEADS if k in next(iter(result["summary"].values()))]
    text = lambda k, mean, spread: f"{mean:.{DIGITS.get(k, 3)}f} ± {spread:.{DIGITS.get(k, 3)}f}"
    rows = [[name, *(text(k, *found[k]) for k in keys)]
            for name, found in result["summary"].items()]
    if goal := not result["quick"] and GOALS.get(result["data"]):
        rows.append(["(the goal)", *(f"{goal[k]:g}" for k in keys)])
    print(f"\n{result['data']}, {seeds(result['seeds'])}"
          + (", quick: no measurement" if result["quick"] else ""))
    print_columns(["", *(HEADS[k] for k in keys)], rows)


def plot(result: dict, path: Path) -> None:
    "A panel a quantity against the CPU ratio, with the goals."
    figure = plot_scores(result["rows"], ("accuracy", "rmse", "log_loss", "coverage"))
    for axis in figure.axes:
        key = axis.get_ylabel().replace(" ", "_")
        goal = 0.9 if key == "coverage" else GOALS.get(result["data"], {}).get(key)
        if goal:
            axis.axhline(goal, color="gray", lw=0.8, ls=":")
    figure.suptitle(result["data"] + (" (quick: no measurement)" if result["quick"]
                                      else f", {seeds(result['seeds'])}"))
    figure.savefig(path, dpi=100)


def plot_ranks(result: dict, path: Path) -> None:
    """Every structure in the order of its test log-loss, the seeds as dots; the picks of each
    method above."""
    order = sorted(range(len(result["truth"])), key=lambda i: result["truth"][i])
    place = {i: rank for rank, i in enumerate(order, 1)}
    figure, axis = plt.subplots(figsize=(7, 4.6))
    for losses in result["log_loss"]:
        axis.plot(range(1, len(order) + 1), [losses[i] for i in order], ".", ms=3, color="gray",
                  alpha=0.6)
    axis.plot(range(1, len(order) + 1), [result["truth"][i] for i in order], color="black", lw=1)
    low = min(map(min, result["log_loss"]))
    for row, (name, found) in enumerate(result["picks"].items()):
        axis.plot([place[i] for i in found["index"]], [low * 0.93**(row + 1)] * len(found["index"]),
                  "|", ms=10, mew=2, color=f"C{row}",
                  label=f"{name}: median rank {found['median']:g}")
    axis.set(yscale="log", xlabel="rank of the structure", ylabel="test -ln p, nats a row",
             title=f"{result['data']}: {len(order)} structures, fitted one by one, "
                   f"{seeds(len(result['log_loss']))}")
    figure.legend(loc="lower center", ncol=2, fontsize=8)
    figure.tight_layout(rect=(0, 0.14, 1, 1))
    figure.savefig(path, dpi=100)
    plt.close(figure)


def plot_robustness(rows: list[dict], path: Path) -> None:
    """A line of panels a data set: accuracy against data noise, weight noise and the share of
    weights removed."""
    names, whats, methods = (list(dict.fromkeys(r[k] for r in rows))
                             for k in ("data", "what", "method"))
    figure, axes = plt.subplots(
        len(names), len(whats), figsize=(3.6 * len(whats), 2.7 * len(names)), squeeze=False)
    for line, name in zip(axes, names):
        for axis, what in zip(line, whats):
            for i, method in enumerate(methods):
                mine = [r for r in rows if (r["data"], r["what"], r["method"])
                        == (name, what, method)]
                levels = sorted({r["level"] for r in mine})
                at = [[r["accuracy"] for r in mine if r["level"] == v] for v in levels]
                if mine:
                    axis.plot(levels, [sum(v) / len(v) for v in at], ".-", color=f"C{i}",
                              label=method)
                    axis.fill_between(levels, list(map(min, at)), list(map(max, at)), color=f"C{i}",
                                      alpha=0.15)
            axis.set(title=name, xlabel=what, ylabel="test accuracy")
    handles = {label: h for a in axes.flat for h, label in zip(*a.get_legend_handles_labels())}
    figure.tight_layout(rect=(0, 0.3 / (2.7 * len(names)), 1, 1))
    figure.legend(handles.values(), handles.keys(), loc="lower center", ncol=4, fontsize=8)
    figure.savefig(path, dpi=80)
    plt.close(figure)
