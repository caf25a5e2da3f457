"The tables of the benchmark, each a function that returns what goes into the JSON."
import copy
import warnings

import torch

from benchmarks.hypergradient.measure import error, flat, interleaved, peak_bytes
from benchmarks.hypergradient.peers import brief
from benchmarks.hypergradient.peers_local import WHY
from benchmarks.hypergradient.problems import (
    Problem,
    gradients,
    logistic,
    minimiser,
    network,
    plain_unroll,
)
from bstruct.hypergradient import hypergradient

METHODS = {
    "unroll full": {"method": "unroll", "storage": "full"},
    "unroll trajectory": {"method": "unroll", "storage": "trajectory"},
    "unroll sqrt": {"method": "unroll", "storage": "sqrt"},
    "unroll compiled": {"method": "unroll", "storage": "trajectory", "compile": True},
    "unroll compiled, 5 steps": {"method": "unroll", "storage": "trajectory", "compile": 5},
    "unroll sqrt compiled": {"method": "unroll", "storage": "sqrt", "compile": True},
    "reversible": {"method": "reversible"},
    "drmad, published": {"method": "drmad", "knots": 0, "fit": False},
    "drmad, 3 knots on the path": {"method": "drmad", "knots": 3, "fit": False},
    "drmad, 0 knots": {"method": "drmad", "knots": 0},
    "drmad, 1 knot": {"method": "drmad", "knots": 1},
    "drmad, 3 knots": {"method": "drmad", "knots": 3},
    "drmad, 9 knots": {"method": "drmad", "knots": 9},
    "truncated, last 10": {"method": "truncated", "window": 10},
    "truncated, last 30": {"method": "truncated", "window": 30},
    "truncated, last 50": {"method": "truncated", "window": 50},
    "greedy": {"method": "greedy"},
    "implicit, 5 iterations": {"method": "implicit", "iterations": 5},
    "implicit, 20 iterations": {"method": "implicit", "iterations": 20},
    "neumann, 20 terms": {"method": "neumann", "iterations": 20},
}


def ours(p, options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return hypergradient(*p.arguments(), **p.training(), **options)


def check_reference(p, truth, coordinates=6, eps=1e-5) -> float:
    """The largest relative disagreement of the float64 reference with central differences, over
    some coordinates."""
    worst, start = 0.0, 0
    for name in sorted(p.hyper):
        n = p.hyper[name].numel()
        part = truth[start : start + n]
        for i in part.abs().argsort(descending=True)[:coordinates].tolist():
            values = []
            for sign in (1, -1):
                q = copy.copy(p)
                q.hyper = {k: v.clone() for k, v in p.hyper.items()}
                q.hyper[name].view(-1)[i] += sign * eps
                values.append(float(ours(q, {"method": "greedy"}).value))
            slope = (values[0] - values[1]) / (2 * eps)
            worst = max(worst, abs(slope - float(part[i])) / float(part.abs().max()))
        start += n
    return worst


def methods_table(rounds: int, peers: dict, steps=100) -> dict:
    """Problem (b): error, time relative to a plain unroll and in gradients a step, bytes the
    method says it stores."""
    p = network(steps=steps)
    exact = network(steps=steps, dtype=torch.float64)
    exact.theta = {k: v.double() for k, v in p.theta.items()}
    exact.hyper = {k: v.double() for k, v in p.hyper.items()}
    truth = flat(ours(exact, METHODS["unroll full"]).grads)
    calls = {"plain unroll": lambda: plain_unroll(p)}
    calls |= {name: lambda o=o: ours(p, o) for name, o in METHODS.items()}
    calls |= {name: lambda f=f: f(p) for name, f in peers.items()}
    rows, broken = _tried(calls, peers, truth)
    times = interleaved({"g": lambda: gradients(p), **calls}, rounds, "plain unroll")
    unit = times["g"]["seconds"] / steps
    for name in rows:
        rows[name] |= times[name] | {"g_per_step": times[name]["seconds"] / steps / unit}
    return {"rows": rows, "broken": broken, "g_microseconds": 1e6 * unit,
            "reference_vs_differences": check_reference(exact, truth)}


def _tried(calls: dict, peers: dict, truth) -> tuple[dict, dict]:
    "Error rows; a peer that fails is reported, not hidden, and taken out of the calls."
    rows, broken = {}, {}
    for name, call in list(calls.items()):
        try:
            found = call()
        except Exception as cause:
            if name not in peers:
                raise
            broken[name] = brief(cause) + (f" ({WHY[name]})" if name in WHY else "")
            del calls[name]
            continue
        rows[name] = error(getattr(found, "grads", found),
                           truth) | ({"why": WHY[name]} if name in WHY else {})
        rows[name]["bytes_stored"] = getattr(found, "diagnostics", {}).get("bytes_stored")
    return rows, broken


def reversible_table() -> dict:
    """Problem (b): reversal against the float64 sweep of its own program, whose momentum is n /
    2^16; and a run of 2000."""
    p = network()
    exact = _double(p)
    exact.momentum = round(p.momentum * 2**16) / 2**16
    out = error(ours(p, METHODS["reversible"]).grads,
                flat(ours(exact, METHODS["unroll trajectory"]).grads))
    long = network(steps=2000)
    long.lr = 0.02
    # raises unless theta_0 is recovered to the bit
    seen = ours(long, METHODS["reversible"]).diagnostics
    return out | {"bits_per_weight_step_2000": seen["bits_per_weight_step"]}


def drmad_table(seeds=5) -> dict:
    """Problem (b) drawn anew: cosines of DrMAD's hypergradient with the exact one, and the
    residual that it reports."""
    ways = {"published": {"knots": 0, "fit": False}}
    each = [(0, True), *((k, fit) for k in (1, 3, 9) for fit in (True, False))]
    ways |= {f"{k} knots{'' if fit else ' on the path'}": {"knots": k, "fit": fit}
             for k, fit in each}
    out = {name: {"cosines": [], "residuals": []} for name in ways}
    for seed in range(seeds):
        p = network(seed=seed)
        truth = flat(ours(p, METHODS["unroll trajectory"]).grads)
        for name, options in ways.items():
            found = ours(p, {"method": "drmad", **options})
            out[name]["cosines"].append(error(found.grads, truth)["cosine"])
            out[name]["residuals"].append(found.diagnostics["residual"])
    return out


def memory_table(etas, peers: dict, names=None, budget=6e9) -> dict:
    """Problem (b): the rise of resident memory at its peak, by number of steps; of peers up to
    1000 steps."""
    ran = ["unroll full", "unroll trajectory", "unroll sqrt", "unroll compiled",
           "unroll compiled, 5 steps", "unroll sqrt compiled", "reversible", "drmad, 3 knots"]
    calls = {"plain unroll": plain_unroll} | {n: lambda p, o=METHODS[n]: ours(p, o)
                                              for n in ran} | peers
    out, p = {}, network(steps=max(etas))
    p.lr = 0.02  # long runs at 0.1 leave nothing to differentiate
    for name, call in calls.items():
        if names and name not in names:
            continue
        p.steps, out[name] = 5, {}
        call(p)  # compiles, and fills torch's caches
        for eta in etas:
            if name in peers and eta > 1000:
                break
            if out[name] and max(out[name].values()) * eta / int(list(out[name])[-1]) > budget:
                break
            p.steps = eta
            out[name][str(eta)] = peak_bytes(lambda: call(p))
    return out


def wide_table(rounds: int, peers: dict, steps=10) -> dict:
    "Width 1024, batch 1000: everything is matrix multiplication."
    p = network(width=1024, batch=1000, steps=steps)
    names = ["unroll full", "unroll trajectory", "unroll sqrt", "unroll compiled"]
    calls = {"plain unroll": lambda: plain_unroll(p)} | {n: lambda o=METHODS[n]: ours(p, o)
                                                         for n in names}
    calls |= {n: lambda f=f: f(p) for n, f in peers.items()}
    times = interleaved({"g": lambda: gradients(p), **calls}, rounds, "plain unroll")
    return {n: t | {"g_per_step": t["seconds"] / times["g"]["seconds"]} for n, t in times.items()}


def greedy_table(rounds: int, peers: dict) -> dict:
    """One step on problem (b): the shared graph, central differences of the gradient (DARTS), and
    peers."""
    p = network(steps=1)
    truth = flat(ours(_double(p), {"method": "greedy"}).grads)

    def differences():
        theta = {k: v.requires_grad_() for k, v in (
            (k, v.detach().clone()) for k, v in p.theta.items())}
        g = torch.autograd.grad(p.inner(theta, p.hyper, 0), list(theta.values()))
        after = {k: (v.detach() - p.lr * d).requires_grad_() for (k, v), d in zip(theta.items(), g)}
        slope = torch.autograd.grad(p.outer(after, p.hyper), list(after.values()))
        eps = 0.01 / torch.cat([s.reshape(-1) for s in slope]).norm()
        hyper = {k: v.detach().requires_grad_() for k, v in p.hyper.items()}
        at = lambda c: {k: v.detach() + c * eps * s for (k, v), s in zip(theta.items(), slope)}
        sides = [torch.autograd.grad(p.inner(at(c), hyper, 0), list(hyper.values()))
                 for c in (1, -1)]
        return {k: -p.lr * (a - b) / (2 * eps) for k, a, b in zip(hyper, *sides)}

    def outer():
        theta = {k: v.detach().requires_grad_() for k, v in p.theta.items()}
        torch.autograd.grad(p.outer(theta, p.hyper), list(theta.values()))

    calls = {"greedy": lambda: ours(p, {"method": "greedy"}), "central differences": differences}
    calls |= {n: lambda f=f: f(p) for n, f in peers.items()}
    rows, broken = _tried(calls, peers, truth)
    timed = {"g": lambda: gradients(p), **calls, "outer gradient": outer}
    times = interleaved({n: lambda f=f: [f() for _ in range(20)] for n, f in timed.items()},
                        3 * rounds, "g")
    part = times["outer gradient"]["ratio"]
    for n, row in rows.items():
        del row["bytes_stored"]
        row |= {"g": times[n]["ratio"], "quartiles": times[n]["quartiles"],
                "g_without_outer": times[n]["ratio"] - part}
    return {"rows": rows, "broken": broken}


def _double(p):
    q = copy.copy(p)
    exact = network(steps=p.steps, dtype=torch.float64)
    q.inner, q.outer = exact.inner, exact.outer
    q.theta, q.hyper = ({k: v.double() for k, v in d.items()} for d in (p.theta, p.hyper))
    return q


def implicit_table(rounds: int) -> dict:
    """Problem (a) at its minimum: the price of an iteration, error by iterations, what a
    preconditioner saves."""
    p = logistic()
    p.theta, p.lr, p.momentum = minimiser(p), 1e-12, 0.0
    from bstruct.hypergradient.call import prepare
    from bstruct.hypergradient.implicit import System, conjugate_gradient

    exact = ours(p, {"method": "implicit", "iterations": 650, "tolerance": 1e-14})
    run, state, hyper = prepare(*p.arguments(), steps=1, lr=1e-12)
    with torch.no_grad():
        system = System(run, state, hyper, 1, 0.0)
        b = torch.randn(650, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
        def unit():
            with torch.enable_grad():
                for _ in range(40):
                    gradients(p)

        solve = lambda k: conjugate_gradient(system.curvature, b, iterations=k)
        calls = {"g": unit, "short": lambda: solve(5), "long": lambda: solve(45)}
        times = interleaved(calls, 3 * rounds, "g")
    # 40 iterations in units of 40 gradients
    price = times["long"]["ratio"] - times["short"]["ratio"]
    answer = lambda k: ours(p, {"method": "implicit", "iterations": k, "tolerance": 0.0}).grads
    errors = {k: error(answer(k), flat(exact.grads))["error"] for k in (10, 30, 100)}
    needed = {}
    for spread in (0.5, 2.0, 4.0):
        q = logistic(spread)
        q.theta, q.lr, q.momentum = minimiser(q), 1e-12, 0.0
        most = {"method": "implicit", "iterations": 2000, "tolerance": 1e-14,
                "preconditioner": "columns"}
        truth = flat(ours(q, most).grads)
        for name in (None, "diagonal", "columns"):
            for tolerance in (1e-3, 1e-4, 1e-6):
                o = {"method": "implicit", "iterations": 1000, "tolerance": tolerance,
                     "preconditioner": name}
                found = ours(q, o)
                seen = {k: found.diagnostics[k] for k in ("iterations", "residual",
                                                          "inner_gradient_norm")}
                needed[f"spread {spread}, {name or 'plain'}, {tolerance}"] = seen | error(
                    found.grads, truth)
    return {"g_per_iteration": price, "error_by_iterations": errors, "iterations_needed": needed}


def systems_table(rounds: int, peers: dict) -> dict:
    """Problem (a) at its minimum: everybody's error by iterations, time of 30, and the answer to 2
    x = 1 (namely 1)."""
    p = logistic()
    p.theta, p.momentum, p.lr = minimiser(p), 0.0, 0.5
    truth = flat(ours(p, {"method": "implicit", "iterations": 650, "tolerance": 1e-14}).grads)
    one = torch.ones(1, dtype=torch.float64)
    tiny = Problem(lambda t, h, s: ((t["w"] - h["h"]) ** 2).sum(), lambda t, h: t["w"].sum(),
                   {"w": one}, {"h": one}, 1)
    tiny.momentum = 0.0
    systems = {"implicit": lambda p, k: ours(
        p, {"method": "implicit", "iterations": k, "tolerance": 0.0}).grads,
               "neumann": lambda p, k: ours(
                   p, {"method": "neumann", "iterations": k}).grads} | peers
    rows, broken = {}, {}
    for name, call in list(systems.items()):
        found, failed = _tried({str(k): lambda k=k, f=call: f(p, k) for k in (10, 30, 100)},
                               "10 30 100".split(), truth)
        if failed:
            broken[name] = next(iter(failed.values()))
            del systems[name]
            continue
        rows[name] = {"errors": {k: r["error"] for k, r in found.items()}} | (
            {"why": WHY[name]} if name in WHY else {})
        try:
            rows[name]["2x = 1"] = float(flat(call(tiny, 5)))
        except Exception as cause:
            rows[name]["2x = 1"] = brief(cause)
    times = interleaved({n: lambda f=f: f(p, 30) for n, f in systems.items()}, 3 * rounds,
                        "implicit")
    for name, row in rows.items():
        row |= {"ratio": times[name]["ratio"], "quartiles": times[name]["quartiles"]}
    return {"rows": rows, "broken": broken}
