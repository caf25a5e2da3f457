"""Gap to the truth (nats) and CPU seconds of every evidence estimator and of other libraries, on
the test problems.

    python -m benchmarks.evidence            the estimators of bstruct, dynesty and scikit-learn
    python -m benchmarks.evidence --peers    also laplace-torch, torchbnn, bayesian-torch and blitz,
    in .bench/

Writes results/evidence.json and results/evidence.png and prints the table. What is saved is not run
again: an interrupted run goes on where it stopped, and --again measures anew. Truths are exact,
from quadrature, from importance sampling about a single mode, or from a long run of sequential
Monte Carlo (then with an error of their own).
"""
import argparse
import json
import statistics
import warnings
from pathlib import Path

import torch

from benchmarks.evidence.contestants import (
    MAX_CALLS,
    NESTED,
    dynesty_runs,
    nested,
    ours,
    peers_run,
    sklearn_run,
    versions,
)
from benchmarks.evidence.known import problems, truth
from bstruct.evidence.problems import Problem, polynomial_problem

HERE = Path(__file__).parent


def number(x: float | None) -> str:
    return "-" if x is None else f"{x:.2f}"


def gap(e: dict, r: dict) -> float:
    "Nats above the truth, that of the row where it has its own."
    return e["value"] - e.get("truth", r["truth"])


def table(results: dict) -> str:
    "Markdown, a row for a problem and a method."
    rows = ["| problem | truth | method | gap | stderr | CPU s | |",
            "| --- | --- | --- | --- | --- | --- | --- |"]
    for name, r in results.items():
        for method, e in r["methods"].items():
            why = {"mixture": "refused", "smc": "refused"} | dict.fromkeys(NESTED, "stopped")
            note = "" if e["reliable"] else why.get(method, "no error given")
            rows.append(f"| {name} | {r['truth']:.2f} ± {r['error']:.2f} | {method} | "
                        f"{gap(e, r):+.2f} | {number(e['stderr'])} | {e['cpu']:.2f} | {note} |")
    return "\n".join(rows)


def plot(results: dict, path: Path) -> None:
    """|gap| against CPU seconds, a mark for a method; hollow where the method itself warns or was
    stopped."""
    import matplotlib
    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    fig, ax = plt.subplots(figsize=(7, 4.5))
    methods = list(dict.fromkeys(m for r in results.values() for m in r["methods"]))
    for i, method in enumerate(methods):
        rows = [(r["methods"][method], r) for r in results.values() if method in r["methods"]]
        refused = [method in ("mixture", "smc", *NESTED) and not e["reliable"] for e, _ in rows]
        for hollow in (False, True):
            some = [(e["cpu"], max(abs(gap(e, r)), 1e-3)) for (e, r), no in zip(rows, refused)
                    if no == hollow]
            x, y = zip(*some) if some else ((), ())
            ax.loglog(x, y, "osD^v<>PX*hd+xp"[i % 15], color=f"C{i % 10}", alpha=0.8,
                      label=None if hollow else method, fillstyle="none" if hollow else "full")
    ax.axhline(0.1, color="k", ls=":", lw=1)
    ax.set(xlabel="CPU seconds", ylabel="|gap| in nats (0.001 and less at the bottom)")
    ax.legend(fontsize=7, ncol=2)
    fig.tight_layout()
    fig.savefig(path, dpi=110)
    plt.close(fig)


def ratios(results: dict, method: str) -> dict[str, dict]:
    """Problem -> cost relative to dynesty's, as they come and at the same standard error.

    dynesty is the cheaper of its two runs that was not stopped. For the second ratio a cost grows
    as 1 / error² to an error of 0.1 nats where the error is larger; a smaller error earns nothing.
    """
    scaled = lambda e: e["cpu"] * max(1.0, e["stderr"] / 0.1) ** 2
    found = {}
    for name, r in results.items():
        e = r["methods"][method]
        rivals = [r["methods"][k] for k in NESTED if k in r["methods"]
                  and r["methods"][k]["reliable"]]
        if rivals:
            found[name] = {"cpu": e["cpu"] / min(d["cpu"] for d in rivals),
                           "reliable": e["reliable"],
                           "same_error": scaled(e) / min(map(scaled, rivals)), "gap": gap(e, r)}
    return found


def summary(results: dict) -> str:
    "The ratios that matter, and the largest gap of an estimate that calls itself reliable."
    lines = []
    for method, limit in (("mixture", 0.1), ("smc", 0.2)):
        found = ratios(results, method)
        for key, words in (("cpu", "as it comes"), ("same_error", "at 0.1 nats")):
            values = [f[key] for f in found.values()]
            over = [name for name, f in found.items() if f[key] > limit]
            lines.append(f"{method}: CPU / dynesty {words}: median "
                         f"{statistics.median(values):.3f}, worst {max(values):.3f}; above "
                         f"{limit:g} on {', '.join(over) or 'none'}")
        gaps = {name: abs(f["gap"]) for name, f in found.items() if f["reliable"]}
        refused = [name for name, f in found.items() if not f["reliable"]]
        lines.append(f"{method}: largest gap of a reliable estimate {max(gaps.values()):.3f} nats "
                     f"({max(gaps, key=gaps.get)}); refused: {', '.join(refused) or 'none'}")
    return "\n".join(lines)


def scaling(results: dict, named: dict[str, Problem], seed: int, name: str = "logistic 10") -> dict:
    """Does the cost of dynesty grow as 1 / error²? Its row on one problem beside a run with as many
    points as follow.

    The tolerance is set, too, since dynesty's default one grows with the number of points.
    """
    first = results[name]["methods"]["dynesty rwalk"]
    points = round(500 * (first["stderr"] / 0.1) ** 2)
    second = nested(named[name], seed, 10 * MAX_CALLS["else"], dlogz=0.1, sample="rwalk",
                    nlive=points)
    return {"problem": name, "points": points, "cost": second["cpu"] / first["cpu"],
            "expected": (first["stderr"] / second["stderr"]) ** 2, "stderr": second["stderr"]}


def save(results: dict, about: dict, out: Path) -> None:
    "The JSON, complete after every step."
    out.mkdir(parents=True, exist_ok=True)
    part = out / "evidence.json.tmp"
    part.write_text(json.dumps({"about": about, "results": results}, indent=1) + "\n")
    part.replace(out / "evidence.json")


def stages(p: Problem, name: str, seed: int, peers: bool) -> dict:
    """Name of a method that the stage gives -> the stage; a stage whose method is saved is not run
    again."""
    found = {"smc": lambda: ours(p, seed), "dynesty": lambda: dynesty_runs(p, seed)}
    if p.exact is not None:
        found["ARDRegression"] = lambda: sklearn_run(p)
    elif peers:
        found["blitz" if name.startswith("logistic")
              else "laplace-torch diag"] = lambda: peers_run(p, name)
    return found


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.evidence", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", action="store_true", help="run the libraries of .bench/, too")
    parser.add_argument("--only", action="append", choices=[*problems()],
                        help="a problem by name; repeatable")
    parser.add_argument("--again", action="store_true", help="measure anew what is saved")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--particles", type=int, default=512,
                        help="particles an island for the truths, of 32 islands")
    parser.add_argument("--out", type=Path, default=HERE / "results")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> None:
    args = parse(arguments)
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    named = {k: p for k, p in problems().items() if not args.only or k in args.only}
    about = {"seed": args.seed, "max_calls": MAX_CALLS, "particles": args.particles} | versions()
    saved = args.out / "evidence.json"
    former = json.loads(saved.read_text()) if saved.exists() else {"results": {}, "about": {}}
    results = former["results"]
    if args.again:
        results = {k: r for k, r in results.items() if k not in named}
    ours(polynomial_problem(1), args.seed)  # once unmeasured, for imports
    for name, p in named.items():
        if name not in results:
            value, error = truth(p, name, args.particles)
            results[name] = {"truth": value, "error": error, "methods": {}}
        methods = results[name]["methods"]
        for method, stage in stages(p, name, args.seed, args.peers).items():
            if method not in methods:
                methods |= stage()
                save(results, about, args.out)
        print(table({name: results[name]}), flush=True)
    results = {k: results[k] for k in problems() if k in results}
    if "logistic 10" in named:
        kept = None if args.again else former["about"].get("scaling")
        about["scaling"] = kept or scaling(results, named, args.seed)
    save(results, about, args.out)
    plot(results, args.out / "evidence.png")
    print("\n" + table(results) + "\n\n" + summary(results))


if __name__ == "__main__":
    main()
