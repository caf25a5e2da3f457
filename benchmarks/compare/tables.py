"""What the runs say: how much each method's pick loses, and whether the stated probabilities come
true."""
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.store import store

LIMIT = 0.05  # nats a row that a pick may lose


def losses(runs: Sequence[dict], method: str) -> np.ndarray:
    "Nats a row that the picks lose against the best design of each run."
    return np.array([max(r["truth"].values()) - r["truth"][r["picks"][method]] for r in runs])


def row(runs: Sequence[dict], method: str) -> dict:
    """Mean loss with its error, the share of runs that lose more than the limit, and the share of
    best picks."""
    lost = losses(runs, method)
    error = lost.std(ddof=1) / np.sqrt(len(lost)) if len(lost) > 1 else float("nan")
    return {"method": method, "runs": len(lost), "mean": lost.mean(), "error": error,
            "above": (lost > LIMIT).mean(), "best": (lost == 0).mean(), "worst": lost.max()}


def fresh(runs: Sequence[dict]) -> dict:
    "The same of a rule that nobody has: the design that leads on as many rows that nothing fits."
    known = [r for r in runs if "fresh" in r]
    if len(known) < 2:
        return {}
    each = np.array([[r["fresh"]["mean"], r["fresh"]["above"]] for r in known])
    return {"runs": len(each), "mean": each[:, 0].mean(), "above": each[:, 1].mean(),
            "error": each[:, 0].std(ddof=1) / np.sqrt(len(each)),
            "two 5-folds": losses(known, "5-fold, two times").mean()}


def calibration(p: np.ndarray, right: np.ndarray, bins: int = 5) -> dict:
    """Stated and observed by bins of equal count, the mean distance weighted by the counts, and
    what that distance is on the mean where all that is stated is true, with so many runs."""
    parts = [b for b in np.array_split(np.argsort(p, kind="stable"), bins) if len(b)]
    counts = np.array([len(b) for b in parts])
    by = lambda v: np.array([v[..., b].mean(-1) for b in parts])
    off = lambda seen: counts @ np.abs(by(p).reshape(-1, *[1] * (seen.ndim - 1)) - by(seen)) / (
        counts.sum())
    drawn = (np.random.default_rng(0).random((400, len(p))) < p).astype(float)
    return {"stated": by(p).tolist(), "seen": by(right).tolist(), "counts": counts.tolist(),
            "error": float(off(right)), "by chance": float(off(drawn).mean()),
            "mean stated": float(p.mean()), "mean seen": float(right.mean())}


def stated(runs: Sequence[dict], kind: str) -> tuple[np.ndarray, np.ndarray]:
    "The probability of each run's pick, and whether it is the best on fresh rows."
    p, right = [], []
    for r in runs:
        pick, best = max(r[kind], key=r[kind].__getitem__), max(r["truth"].values())
        p.append(r[kind][pick])
        right.append(float(r["truth"][pick] >= best))
    return np.array(p), np.array(right)


def every(runs: Sequence[dict], kind: str) -> tuple[np.ndarray, np.ndarray]:
    "The probability of every design of each run, and whether it is the best on fresh rows."
    p = [r[kind][k] for r in runs for k in r["names"]]
    best = [max(r["truth"], key=r["truth"].__getitem__) for r in runs]
    return np.array(p), np.array([float(k == b) for r, b in zip(runs, best) for k in r["names"]])


KINDS = ("next", "uncorrected", "switching", "all")


def report(runs: Sequence[dict], folder: Path) -> dict:
    "Print the tables of every set of designs and write them to summary.json."
    kinds = sorted({r.get("designs", "networks") for r in runs})
    found = {k: summary([r for r in runs if r.get("designs", "networks") == k], k) for k in kinds}
    store(folder / "summary.json", found, ("torch", "scikit-learn", "numpy"))
    return found


def summary(runs: Sequence[dict], kind: str) -> dict:
    "Losses, reliability and cost of the runs of one set of designs; printed, too."
    methods, odd = list(runs[0]["picks"]), [r for r in runs if r["seed"] % 2]
    inside = np.sum([r["covered"] for r in runs], 0)
    found = {"runs": len(runs), "losses": [row(runs, m) for m in methods],
             "fresh": fresh(runs),
             "odd seeds": [row(odd, m) for m in methods] if odd else [],
             "by rows": {str(n): [row([r for r in runs if r["n"] == n], m) for m in methods]
                         for n in sorted({r["n"] for r in runs})},
             "reliability": {k: calibration(*stated(runs, k)) for k in KINDS},
             "every design": {k: calibration(*every(runs, k)) for k in KINDS},
             "covered": float(inside[0] / inside[1]), "pairs": int(inside[1]),
             "seconds": {k: float(np.mean([r["seconds"][k] for r in runs]))
                         for k in runs[0]["seconds"]}}
    printed(found, kind)
    return found


def printed(found: dict, kind: str) -> None:
    print(f"{kind}: {found['runs']} runs; CPU seconds a run: "
          + ", ".join(f"{k} {v:.1f}" for k, v in found["seconds"].items()))
    for name in ("losses", "odd seeds"):
        print(f"{name:20} {'mean loss':>18} {'above .05':>10} {'best':>6} {'worst':>7}")
        for r in found[name]:
            print(f"{r['method']:20} {r['mean']:9.4f} ± {r['error']:.4f} {r['above']:10.3f} "
                  f"{r['best']:6.2f} {r['worst']:7.3f}")
    if bound := found["fresh"]:
        print(f"{'as many fresh rows':20} {bound['mean']:9.4f} ± {bound['error']:.4f} "
              f"{bound['above']:10.3f}")
    for n, rows in found["by rows"].items():
        print(f"n = {n} ({rows[0]['runs']} runs): "
              + ", ".join(f"{r['method']} {r['mean']:.4f}" for r in rows))
    for what in ("reliability", "every design"):
        for name, c in found[what].items():
            told = " ".join(f"{a:.2f}/{b:.2f}" for a, b in zip(c["stated"], c["seen"]))
            print(f"{what} {name:11} error {c['error']:.3f} (by chance {c['by chance']:.3f}), "
                  f"stated {c['mean stated']:.3f}, seen {c['mean seen']:.3f}: {told}")
    print(f"leads on fresh rows within 1.96 stated errors: {found['covered']:.3f} of "
          f"{found['pairs']} pairs")
