"""One form for every file of results: `about` says where, when and by which command it was made."""
import json
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bstruct.core.about import about
from bstruct.core.files import write_whole


def named(argument: str) -> str:
    "An argument of the command; of a path from the root its last part."
    return Path(argument).name if Path(argument).is_absolute() else argument


def origin(packages: Sequence[str] = (), **more: Any) -> dict[str, Any]:
    "Machine, device, versions, date and command, and what the benchmark adds."
    spec = sys.modules["__main__"].__spec__
    name = spec.name.removesuffix(".__main__") if spec else Path(sys.argv[0]).name
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return about(packages) | {
        "date": now, "command": " ".join(["python -m", name, *map(named, sys.argv[1:])])} | more


def store(path: Path, found: Mapping[str, Any], packages: Sequence[str] = (), *,
          indent: int | None = 1, **more: Any) -> None:
    "Write the file whole, with `about` first; `more` goes into `about`."
    path.parent.mkdir(parents=True, exist_ok=True)
    told = {"about": origin(packages, **more), **{k: v for k, v in found.items() if k != "about"}}
    write_whole(path, json.dumps(told, indent=indent) + "\n")
