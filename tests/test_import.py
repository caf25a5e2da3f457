"""`import bstruct` needs torch, numpy, scikit-learn and jaxtyping; the rest is imported where it
is used (scikit-learn itself brings pandas, torch brings tqdm)."""
import subprocess
import sys

LATER = ["matplotlib", "tyro", "jinja2", "safetensors", "nbdev"]


def test_import_is_light():
    code = (f"import bstruct, sys; print([m for m in {LATER} if m in sys.modules], "
            "bstruct.StructureClassifier.__name__)")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[] StructureClassifier"
