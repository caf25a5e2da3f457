"Shape annotations are checked here, and only here: beartype on every function of the library."
import os
import sys
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.append(str(Path(__file__).parent))

import torch
from annotations import install
from hypothesis import settings

install()
torch.set_num_threads(1)
settings.register_profile("bstruct", deadline=None, derandomize=True, max_examples=50)
settings.load_profile("bstruct")
