"Interleaved process-CPU timings, peak memory, errors."
import ctypes
import re
import statistics
import time

import torch


def interleaved(functions: dict, rounds: int, base: str) -> dict:
    """Median CPU seconds of each function, its ratio to `base` in the same round, and the ratio's
    quartiles."""
    for f in functions.values():
        f()
    times = {name: [] for name in functions}
    for _ in range(rounds):
        for name, f in functions.items():
            start = time.process_time()
            f()
            times[name].append(time.process_time() - start)
    out = {}
    for name, seen in times.items():
        ratios = sorted(a / b for a, b in zip(seen, times[base]))
        low, high = ratios[len(ratios) // 4], ratios[-1 - len(ratios) // 4]
        out[name] = {"seconds": statistics.median(seen), "ratio": statistics.median(ratios),
                     "quartiles": [low, high]}
    return out


def _status(field: str) -> int:
    with open("/proc/self/status") as f:
        return int(re.search(rf"{field}:\s+(\d+)", f.read())[1]) * 1024


def peak_bytes(f) -> int:
    """How much the resident set of this process rises above its level before the call, at its
    highest (Linux)."""
    trim = ctypes.CDLL("libc.so.6").malloc_trim
    trim(0)
    with open("/proc/self/clear_refs", "w") as reset:
        reset.write("5")
    before = _status("VmRSS")
    f()
    return max(_status("VmHWM") - before, 0)


def flat(grads: dict) -> torch.Tensor:
    return torch.cat([torch.as_tensor(grads[k]).detach().double().reshape(-1)
                      for k in sorted(grads)])


def error(grads: dict, truth: torch.Tensor) -> dict:
    "Relative error and cosine against the reference."
    v = flat(grads)
    return {"error": float((v - truth).norm() / truth.norm()),
            "cosine": float(v @ truth / (v.norm() * truth.norm()))}
