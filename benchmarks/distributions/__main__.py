"""Gumbel-Softmax against its peers: `python -m benchmarks.distributions [--quick]`.

log_prob and rsample against torch.distributions.RelaxedOneHotCategorical and its logarithmic base,
and the divergence against a naive Monte Carlo estimate with torch's class at equal error (measured
seconds a draw times the draws that its standard deviation asks for); K = 2...64, batches of 1...100
000, float32, one thread. Times are medians of process-CPU seconds, the contestants taking turns in
one process. Prints tables, writes results/results.json and results/kl.png beside this file. Takes
about three minutes (--quick: a few seconds).
"""
import argparse
import json
import math
import statistics
import time
from pathlib import Path

import torch
from torch.distributions import RelaxedOneHotCategorical

from bstruct.distributions.gumbel_softmax_density import gumbel_noise, log_prob_log, sample_log
from bstruct.distributions.gumbel_softmax_kl import kl_equal_temperature

RESULTS = Path(__file__).parent / "results"
TEMPERATURE = 0.5


def seconds(contestants: dict, slot: float = 0.02, turns: int = 5) -> dict[str, float]:
    """Median process-CPU seconds of one call of each, interleaved; a turn repeats a call for at
    least `slot` seconds."""
    repeats = {}
    for name, f in contestants.items():
        f()
        start = time.process_time()
        f()
        repeats[name] = max(1, int(slot / max(time.process_time() - start, 1e-6)))
    times = {name: [] for name in contestants}
    for _ in range(turns):
        for name, f in contestants.items():
            start = time.process_time()
            for _ in range(repeats[name]):
                f()
            times[name].append((time.process_time() - start) / repeats[name])
    return {name: statistics.median(t) for name, t in times.items()}


def logits_of(batch: int, K: int, seed: int, dtype=torch.float32) -> torch.Tensor:
    return torch.randn(batch, K, generator=torch.Generator().manual_seed(seed),
                       dtype=torch.float64).to(dtype)


def density_and_samples(batch: int, K: int) -> dict:
    """Seconds for one log-density of, and one sample from, a batch; and the share of densities
    that are not finite."""
    logits, g = logits_of(batch, K, 0), torch.Generator().manual_seed(0)
    peer = RelaxedOneHotCategorical(torch.tensor(TEMPERATURE), logits=logits, validate_args=False)
    x = sample_log(logits, TEMPERATURE, gumbel_noise(logits.shape, g))
    gamma = x.exp()
    row = {"batch": batch, "K": K}
    row["log_prob"] = seconds({"bstruct": lambda: log_prob_log(logits, TEMPERATURE, x),
                               "torch": lambda: peer.log_prob(gamma),
                               "torch, log-space": lambda: peer.base_dist.log_prob(x)})
    row["rsample"] = seconds(
        {"bstruct": lambda: sample_log(logits, TEMPERATURE, gumbel_noise(logits.shape, g)),
                              "torch": lambda: peer.rsample()})
    return row


def not_finite(draws: int = 200_000) -> list[dict]:
    "Percentage of float32 draws whose log-density is not finite."
    rows = []
    for K in (4, 64):
        for c in (0.1, 0.05, 0.01):
            logits = torch.zeros(draws, K)
            x = sample_log(logits, c, gumbel_noise(logits.shape, torch.Generator().manual_seed(0)))
            peer = RelaxedOneHotCategorical(torch.tensor(c), logits=logits, validate_args=False)
            share = lambda p: 100 * (~p.isfinite()).double().mean().item()
            rows.append({"K": K, "temperature": c, "torch": share(peer.log_prob(x.exp())),
                         "bstruct": share(log_prob_log(logits, c, x))})
    return rows


def reference(q: torch.Tensor, p: torch.Tensor) -> torch.Tensor:
    "The divergence on a grid of 12 001 nodes in float64, shift 0: another form of the integral."
    ratio = p - q
    u = torch.linspace(-90, 90, 12_001, dtype=torch.float64)
    mean_log = lambda r: (torch.sigmoid(u) - torch.exp(
        -torch.nn.functional.softplus(u + r[:, :, None]).sum(1))).sum(-1)
    return ratio.shape[-1] * (mean_log(ratio) - mean_log(0 * ratio)) * (180 / 12_000) - ratio.sum(
        -1)


def naive(q: torch.Tensor, p: torch.Tensor, draws: int) -> tuple[torch.Tensor, torch.Tensor]:
    "Mean and standard error of ln q - ln p over draws of torch's class."
    q, p = (RelaxedOneHotCategorical(torch.tensor(TEMPERATURE), logits=l, validate_args=False)
            for l in (q, p))
    x = q.rsample((draws,))
    f = q.log_prob(x) - p.log_prob(x)
    return f.mean(0), f.std(0) / math.sqrt(draws)


def divergence(batch: int, K: int) -> dict:
    """Seconds and error of the exact form, and seconds that the naive estimate needs for the same
    error or for 0.01."""
    q, p = logits_of(batch, K, 1), logits_of(batch, K, 2)
    some = slice(0, min(batch, 50))
    exact = reference(q[some].double(), p[some].double())
    error = lambda dtype: (kl_equal_temperature(q[some].to(dtype), p[some].to(dtype))
                           - exact).abs().max().item()
    torch.manual_seed(0)
    draws = max(2, min(1000, 2**22 // (batch * K)))
    spread = (naive(q[some], p[some], 1000)[1] * math.sqrt(1000)).square().mean().sqrt().item()
    t = seconds({"exact": lambda: kl_equal_temperature(q, p), "naive": lambda: naive(q, p, draws)},
                turns=3)
    per_draw = t["naive"] / draws
    cost = lambda e: per_draw * max(1, (spread / e) ** 2)
    row = {"batch": batch, "K": K, "exact_seconds": t["exact"],
           "error_float32": error(torch.float32),
           "error_float64": error(torch.float64), "spread": spread,
           "naive_seconds_a_draw": per_draw}
    row["naive_seconds_at_0.01"] = cost(0.01)
    row["naive_over_exact_at_0.01"] = cost(0.01) / t["exact"]
    row["naive_over_exact_at_equal_error"] = cost(max(row["error_float32"], 1e-7)) / t["exact"]
    return row


def plot(rows: list[dict], path: Path) -> None:
    import matplotlib
    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    fig, axis = plt.subplots(figsize=(6, 3.2))
    for K, colour in zip(sorted({r["K"] for r in rows}),
                         plt.cm.viridis(torch.linspace(0, 0.9, 6).tolist())):
        batch, exact, sampled = zip(*((r["batch"], r["exact_seconds"], r["naive_seconds_at_0.01"])
                                      for r in rows if r["K"] == K))
        axis.loglog(batch, exact, "o-", ms=3, color=colour, label=f"K = {K}")
        axis.loglog(batch, sampled, "--", color=colour, lw=1)
    axis.set(xlabel="batch", ylabel="CPU seconds",
             title="KL: exact (lines), Monte Carlo with error 0.01 nats (dashed)")
    axis.legend(fontsize=7)
    fig.tight_layout()
    fig.savefig(path, dpi=110)


def show(title: str, head: list[str], rows: list[list]) -> None:
    print(f"\n{title}")
    text = [[f"{v:.3g}" if isinstance(v, float) else str(v) for v in row] for row in [head, *rows]]
    width = [max(map(len, column)) for column in zip(*text)]
    print("\n".join("  ".join(v.rjust(w) for v, w in zip(row, width)) for row in text))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="two sizes only, nothing written")
    quick = parser.parse_args().quick
    torch.set_num_threads(1)
    sizes = [(b, K) for K in (2, 4, 8, 16, 32, 64) for b in (1, 10, 100, 1000, 10_000, 100_000)]
    sizes = [(1, 4), (1000, 8)] if quick else sizes
    speed, finite = [density_and_samples(*s) for s in sizes], not_finite(
        20_000 if quick else 200_000)
    kl = [divergence(*s) for s in sizes]
    table = []
    for r in speed:
        ours, torchs, in_log = (1e6 * r["log_prob"][who]
                                for who in ("bstruct", "torch", "torch, log-space"))
        draw, their_draw = (1e6 * r["rsample"][who] for who in ("bstruct", "torch"))
        table.append([r["batch"], r["K"], ours, torchs, in_log, ours / torchs, draw, their_draw,
                      draw / their_draw])
    show("CPU µs a call, and the ratio ours / torch's",
         ["batch", "K", "log_prob", "torch", "torch in log-space", "ratio", "rsample", "torch",
          "ratio"], table)
    show("log-densities that are not finite, % of float32 draws",
         ["K", "temperature", "torch", "bstruct"],
         [[r["K"], r["temperature"], r["torch"], r["bstruct"]] for r in finite])
    show("KL: CPU seconds, largest error in nats, and how many times longer naive Monte "
         "Carlo takes",
         ["batch", "K", "exact s", "error f32", "error f64", "MC at 0.01 s", "ratio at 0.01",
          "ratio at equal error"],
         [[r["batch"], r["K"], r["exact_seconds"], r["error_float32"], r["error_float64"],
           r["naive_seconds_at_0.01"], r["naive_over_exact_at_0.01"],
           r["naive_over_exact_at_equal_error"]] for r in kl])
    if not quick:
        RESULTS.mkdir(exist_ok=True)
        result = {"torch": torch.__version__, "temperature": TEMPERATURE, "speed": speed,
                  "not_finite": finite, "kl": kl}
        (RESULTS / "results.json").write_text(json.dumps(result, indent=1) + "\n")
        plot(kl, RESULTS / "kl.png")
        print("\nwritten to benchmarks/distributions/results")


if __name__ == "__main__":
    main()
