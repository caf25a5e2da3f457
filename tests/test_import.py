"""`import bstruct` needs torch, numpy, scipy and jaxtyping; scikit-learn and pandas come with the
estimators, the rest where it is used (torch brings tqdm)."""
import subprocess
import sys

LATER = ["matplotlib", "tyro", "jinja2", "safetensors", "nbdev"]
WITH_ESTIMATORS = ["sklearn", "pandas"]


def test_import_is_light():
    code = (f"import bstruct, sys; early = {LATER + WITH_ESTIMATORS}; "
            "print([m for m in early if m in sys.modules], bstruct.StructureClassifier.__name__, "
            f"[m for m in {LATER} if m in sys.modules], 'load' in dir(bstruct))")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[] StructureClassifier [] True"


def test_every_public_name_is_there_and_no_other():
    import bstruct

    found = {name: getattr(bstruct, name) for name in bstruct.__all__}
    assert {thing.__module__.partition(".")[0] for thing in found.values()} == {"bstruct"}
    assert [found[n].__name__ for n in sorted(found)] == sorted(found)
    assert not hasattr(bstruct, "Load")
