"""What Quarto runs for every notebook (`ipynb-filters`), from stdin to stdout.

Quarto starts it in the notebook's folder, by the path of this file, with whichever Python it finds:
so the root of the project is put where imports look first, and the environment of the project takes
over where it is another one.
"""
import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
OWN = ROOT / ".venv/bin/python"

if OWN.exists() and Path(sys.prefix).resolve() != (ROOT / ".venv").resolve() \
        and "BSTRUCT_FILTER" not in os.environ:
    os.environ["BSTRUCT_FILTER"] = "1"  # once is enough
    os.execv(OWN, [str(OWN), __file__])
sys.path[0] = str(ROOT)

from tools.quarto_filter import main  # noqa: E402

if __name__ == "__main__":
    main()
