"Tables on the terminal, and the plots beside the JSON."


def show(name: str, table: dict) -> None:
    print(f"\n{name}")
    rows = table.get("rows", table)
    for key, row in rows.items():
        if isinstance(row, dict):
            print(f"  {key:28s}", "  ".join(f"{k} {_short(v)}" for k, v in row.items()))
        else:
            print(f"  {key:28s} {_short(row)}")
    for key, why in table.get("broken", {}).items():
        print(f"  {key:28s} fails: {why}")


def _short(v):
    if isinstance(v, float):
        return f"{v:.3g}"
    return "[" + ", ".join(map(_short, v)) + "]" if isinstance(v, list) else str(v)


def draw(found: dict, folder) -> None:
    import matplotlib

    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    if "memory" in found:
        figure, axes = plt.subplots(figsize=(6, 3.6))
        for name, sizes in found["memory"].items():
            axes.loglog([int(k) for k in sizes], [max(v, 1e5) / 1e6 for v in sizes.values()], "o-",
                        ms=3, label=name)
        axes.set(xlabel="inner steps", ylabel="peak memory above start, MB")
        axes.legend(fontsize=7)
        figure.tight_layout()
        figure.savefig(folder / "memory.png")
    if "methods" in found:
        figure, axes = plt.subplots(figsize=(6, 3.6))
        for name, row in found["methods"]["rows"].items():
            axes.loglog(row["ratio"], row["error"], "o", ms=4)
            axes.annotate(name, (row["ratio"], row["error"]), fontsize=6, xytext=(3, 2),
                          textcoords="offset points")
        axes.set(xlabel="CPU time / plain unroll", ylabel="relative error")
        figure.tight_layout()
        figure.savefig(folder / "pareto.png")
