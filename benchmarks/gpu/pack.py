"""Named sections under a budget of seconds: each is cut or fails alone, and what is known is on
the disk."""
import gc
import json
import math
import os
import platform
import re
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

import bstruct
from bstruct.core.files import write_whole

PACKAGES = ("triton", "numpy", "scipy", "scikit-learn", "pandas")
FORM = 1  # of the JSON
LEAST = 0.3  # seconds without which no section begins


class OutOfTime(BaseException):
    "The seconds of a section are over. No `except Exception` of a library keeps it back."


@dataclass(frozen=True)
class Section:
    "A part of the pack: its share of the seconds, and the function that measures and notes."

    share: float
    work: Callable[["Pack"], None]


@dataclass
class Pack:
    "What the sections share: the device, the time that is left, and the results so far."

    device: torch.device
    quick: bool
    out: Path | None
    found: dict[str, Any]
    deadline: float = math.inf
    current: dict[str, Any] = field(default_factory=dict)

    @property
    def cuda(self) -> bool:
        return self.device.type == "cuda"

    @property
    def threads(self) -> int:
        "Threads of a comparison with the processor: all cores."
        return 1 if self.quick else cores()

    @property
    def left(self) -> float:
        "Seconds until the present section is cut."
        return self.deadline - time.monotonic()

    def wait(self) -> None:
        "Until the device has done what it was told."
        if self.cuda:
            torch.cuda.synchronize(self.device)

    def note(self, **more: Any) -> None:
        "Add to the results of the present section, and write them."
        self.current.update(more)
        self.save()

    def row(self, table: str, **cells: Any) -> None:
        "Add a row to a table of the present section, write it and show it."
        self.current.setdefault(table, []).append(cells)
        told = ", ".join(f"{k} {_short(v)}" for k, v in cells.items())
        print(f"  {table}: {told}", flush=True)
        self.save()

    def attempt(self, table: str, cells: Mapping[str, Any], work: Callable[..., Mapping[str, Any]],
                *given: Any) -> dict:
        "A row that `work` of what is given completes, or that holds its error."
        begin = time.perf_counter()
        try:
            more = dict(work(*given))
        except Exception as error:
            more = {"error": brief(error)}
            clear(self)
        row = {**cells, **more, "wall_seconds": time.perf_counter() - begin}
        self.row(table, **row)
        return row

    def save(self) -> None:
        if self.out:
            self.out.parent.mkdir(parents=True, exist_ok=True)
            write_whole(self.out, json.dumps(plain(self.found), indent=1) + "\n")


def brief(error: BaseException) -> str:
    """An error in one line, and the innermost line of our own that met it; paths are cut to their
    ends."""
    ours = lambda frame: "bstruct" in frame.filename or "benchmarks" in frame.filename
    own = [f for f in traceback.extract_tb(error.__traceback__) if ours(f)]
    at = f" [{Path(own[-1].filename).name}:{own[-1].lineno}]" if own else ""
    said = re.sub(r"(/[\w.+-]+){2,}", lambda m: Path(m[0]).name, " ".join(str(error).split()))
    return f"{type(error).__name__}: {said}"[:400] + at


def plain(thing: Any) -> Any:
    "For JSON: numbers that are not finite are null, what is no number or text is its text."
    if isinstance(thing, Mapping):
        return {str(k): plain(v) for k, v in thing.items()}
    if isinstance(thing, list | tuple):
        return [plain(v) for v in thing]
    if hasattr(thing, "item"):
        return plain(thing.item())
    if isinstance(thing, float):
        return thing if math.isfinite(thing) else None
    return thing if thing is None or isinstance(thing, bool | int | str) else str(thing)


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)[:160]


def clear(pack: Pack) -> None:
    "Undo what a section may have left behind. Raises what a broken device raises."
    if pack.cuda:
        torch.cuda.set_sync_debug_mode("default")
    torch.set_float32_matmul_precision("highest")
    torch.set_num_threads(1)
    gc.collect()
    if pack.cuda:
        torch.cuda.synchronize(pack.device)
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(pack.device)


@contextmanager
def limited(seconds: float) -> Iterator[None]:
    "Raises OutOfTime inside after so many seconds, where the system has an alarm."
    main = threading.current_thread() is threading.main_thread()
    if not hasattr(signal, "setitimer") or not main:
        yield
        return

    def over(number, frame):
        raise OutOfTime

    before = signal.signal(signal.SIGALRM, over)
    signal.setitimer(signal.ITIMER_REAL, max(0.01, seconds))
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def run_section(pack: Pack, name: str, section: Section, seconds: float) -> bool:
    "One section: its results, its error or its cut are noted. False where the device is broken."
    print(f"== {name}, at most {seconds:.0f} s", flush=True)
    begin = time.monotonic()
    pack.current = {"status": "running", "budget_seconds": seconds}
    pack.found["sections"][name] = pack.current
    pack.deadline, status = begin + seconds, "done"
    try:
        with limited(seconds):
            section.work(pack)
    except OutOfTime:
        status = "cut"
    except Exception as error:
        status = "failed"
        pack.current["error"] = brief(error)
        print(f"  {pack.current['error']}", flush=True)
    pack.note(status=status, seconds=time.monotonic() - begin)
    try:
        clear(pack)
    except Exception as error:
        pack.note(device_broken=brief(error))
        return False
    return True


def run_all(pack: Pack, sections: Mapping[str, Section], seconds: float) -> list[str]:
    """Section after section, each with its share of the time that is left; the names that a broken
    device left over."""
    end, names = time.monotonic() + seconds, list(sections)
    for i, name in enumerate(names):
        left = end - time.monotonic()
        if left < LEAST:
            pack.found["sections"][name] = {"status": "not run", "error": "no seconds were left"}
            pack.save()
            continue
        share = sections[name].share / sum(sections[n].share for n in names[i:])
        if not run_section(pack, name, sections[name], left * share):
            return names[i + 1:]
    return []


def _first(path: str, key: str) -> str | None:
    "The value of the first line of a file of the system that begins with the key."
    try:
        lines = Path(path).read_text().splitlines()
    except OSError:
        return None
    return next((s.partition(":")[2].strip() for s in lines if s.startswith(key)), None)


def cores() -> int:
    "Processor cores that this process may use."
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def machine(device: torch.device) -> dict[str, Any]:
    "The machine and, where there is one, the GPU."
    found: dict[str, Any] = {"system": platform.system(), "processor": platform.machine(),
                             "cores": cores(), "cpu": _first("/proc/cpuinfo", "model name"),
                             "memory": _first("/proc/meminfo", "MemTotal")}
    if device.type != "cuda":
        return found
    p = torch.cuda.get_device_properties(device)
    ask = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        driver = subprocess.run(ask, capture_output=True, text=True, timeout=10).stdout.split()[0]
    except (OSError, IndexError, subprocess.SubprocessError):
        driver = None
    return found | {"gpu": p.name, "capability": f"{p.major}.{p.minor}",
                    "gpu_bytes": p.total_memory,
                    "multiprocessors": p.multi_processor_count, "driver": driver,
                    "cuda": torch.version.cuda}


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def header(device: torch.device, command: str, quick: bool, seconds: float) -> dict[str, Any]:
    "What every file says of its run."
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"
    return {"benchmark": "gpu", "form": FORM, "device": name, "machine": machine(device),
            "versions": {"python": platform.python_version(), **{n: _version(n) for n in PACKAGES},
                         "torch": torch.__version__, "bstruct": bstruct.__version__},
            "date": datetime.now(UTC).isoformat(timespec="seconds"), "command": command,
            "quick": quick, "seconds": seconds, "sections": {}}


def again(arguments: list[str]) -> None:
    "Go on in a new process: a device error of CUDA stays with the process that met it."
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-m", "benchmarks.gpu", *arguments])
