"Shape annotations are checked here, and only here: beartype on every function of the library."
import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch
from hypothesis import settings
from jaxtyping import install_import_hook

install_import_hook("bstruct", "beartype.beartype")
torch.set_num_threads(1)
settings.register_profile("bstruct", deadline=None, derandomize=True, max_examples=50)
settings.load_profile("bstruct")
