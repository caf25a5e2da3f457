"""What the runs say: how much each method's pick loses, and whether the stated probabilities come
true."""
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

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


def calibration(p: np.ndarray, right: np.ndarray, bins: int = 5) -> dict:
    "Stated and observed by bins of equal count, and the mean distance weighted by the counts."
    order = np.argsort(p, kind="stable")
    parts = [b for b in np.array_split(order, bins) if len(b)]
    stated, seen = (np.array([v[b].mean() for b in parts]) for v in (p, right))
    counts = np.array([len(b) for b in parts])
    return {"stated": stated.tolist(), "seen": seen.tolist(), "counts": counts.tolist(),
            "error": float(counts @ np.abs(stated - seen) / counts.sum()),
            "mean stated": float(p.mean()), "mean seen": float(right.mean())}


def reliability(runs: Sequence[dict], kind: str = "next", near: float = 0.0) -> dict:
    """Whether the probability of the pick is the share of runs where it is best, or within `near`
    nats a row of it."""
    stated, right = [], []
    for r in runs:
        p = r[kind] if kind in r else dict(zip(r["names"], r["kinds"][kind]))
        pick, best = max(p, key=p.__getitem__), max(r["truth"].values())
        stated.append(p[pick])
        right.append(float(best - r["truth"][pick] <= near))
    return calibration(np.array(stated), np.array(right))


def pairs(runs: Sequence[dict], kind: str = "next") -> dict:
    """The same for every pair of designs that together have a probability of 1/2: is the likelier
    of the two better?"""
    stated, right = [], []
    for r in runs:
        p = r[kind] if kind in r else dict(zip(r["names"], r["kinds"][kind]))
        a, b = sorted(p, key=p.__getitem__, reverse=True)[:2]
        stated.append(p[a] / (p[a] + p[b]))
        right.append(float(r["truth"][a] >= r["truth"][b]))
    return calibration(np.array(stated), np.array(right))


def report(runs: Sequence[dict], folder: Path) -> dict:
    "Print the tables of every set of designs and write them to summary.json."
    kinds = sorted({r.get("designs", "networks") for r in runs})
    found = {k: summary([r for r in runs if r.get("designs", "networks") == k], k) for k in kinds}
    (folder / "summary.json").write_text(json.dumps(found, indent=1), encoding="utf-8")
    return found


def summary(runs: Sequence[dict], kind: str) -> dict:
    "Losses, reliability and cost of the runs of one set of designs; printed, too."
    methods = list(runs[0]["picks"])
    found = {"runs": len(runs), "losses": [row(runs, m) for m in methods],
             "by rows": {str(n): [row([r for r in runs if r["n"] == n], m) for m in methods]
                         for n in sorted({r["n"] for r in runs})},
             "reliability": {k: reliability(runs, k)
                             for k in ("next", "rows", "orders", "none", "all")},
             "pairs": {k: pairs(runs, k) for k in ("next", "rows", "orders", "none", "all")},
             "seconds": {k: float(np.mean([r["seconds"][k] for r in runs]))
                         for k in runs[0]["seconds"]}}
    print(f"{kind}: {len(runs)} runs; CPU seconds a run: "
          + ", ".join(f"{k} {v:.1f}" for k, v in found["seconds"].items()))
    print(f"{'method':20} {'mean loss':>18} {'above .05':>10} {'best':>6} {'worst':>7}")
    for r in found["losses"]:
        print(f"{r['method']:20} {r['mean']:9.4f} ± {r['error']:.4f} {r['above']:10.3f} "
              f"{r['best']:6.2f} {r['worst']:7.3f}")
    for n, rows in found["by rows"].items():
        print(f"n = {n} ({rows[0]['runs']} runs): "
              + ", ".join(f"{r['method']} {r['mean']:.4f}" for r in rows))
    for what in ("reliability", "pairs"):
        for kind, c in found[what].items():
            told = " ".join(f"{a:.2f}/{b:.2f}" for a, b in zip(c["stated"], c["seen"]))
            print(f"{what} {kind:7} error {c['error']:.3f}, stated {c['mean stated']:.3f}, seen "
                  f"{c['mean seen']:.3f}: {told}")
    return found
