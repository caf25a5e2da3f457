"Shape annotations are checked here, and only here: beartype on every function of the library."
import os
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch
from hypothesis import settings
from jaxtyping import install_import_hook

# Every module but the settings, whose own checks meet the wrong types that users write.
ROOT = Path(__file__).resolve().parent.parent
MODULES = [".".join(f.relative_to(ROOT).with_suffix("").parts)
           for f in (ROOT / "bstruct").rglob("*.py")]
install_import_hook([m for m in MODULES if not m.endswith(("__init__", "search.settings"))],
                    "beartype.beartype")
torch.set_num_threads(1)
settings.register_profile("bstruct", deadline=None, derandomize=True, max_examples=50)
settings.load_profile("bstruct")
