"""scikit-learn's own suite: what is expected to fail is named with its reason."""
import numpy as np
from sklearn.base import clone
from sklearn.datasets import make_moons
from sklearn.ensemble import AdaBoostClassifier, AdaBoostRegressor
from sklearn.utils.estimator_checks import parametrize_with_checks

from bstruct.use.estimators import StructureClassifier, StructureRegressor

# Most checks look at interfaces, and a step of training is as good as a hundred: two starts of two
# structures remain, and their average. Those that judge what was learned train on.
TINY = dict(epochs=1, min_steps=1, starts=2, tempering=(0.1, 0.01), screened=2, finalists=1,
            blocks=1, samples=4, hidden=(4,), candidates=("linear", "linear+tanh"),
            learning_rate=0.05)
LEARNED = ("check_classifiers_train", "check_regressors_train", "check_class_weight_classifiers")
LONGER = dict(epochs=2, min_steps=60, hidden=(16,))
# With whole weights a fit is to the last bit that of the table with its rows repeated
# (tests/test_use_estimators.py). The check shuffles one of the two tables, and another order of
# rows is another draw of minibatches and of blocks: it asks for 7 digits beyond that. The evidence
# that judges numbers is of all rows at once and has no order, so the regressor passes.
WEIGHTS = dict.fromkeys(
    (f"check_sample_weight_equivalence_on_{kind}_data" for kind in ("dense", "sparse")),
    "the check shuffles one of its two tables, and a fit depends on the order of its rows")


@parametrize_with_checks([StructureClassifier(**TINY), StructureRegressor(**TINY)],
                         expected_failed_checks=lambda estimator: WEIGHTS if isinstance(
                             estimator, StructureClassifier) else {})
def test_scikit_learn_agrees(estimator, check):
    check(clone(estimator).set_params(**LONGER) if check.func.__name__ in LEARNED else estimator)


def test_adaboost_weights_the_rows():
    "Weights are no whole numbers there, and sum to 1: they are taken as shares of the rows."
    X, y = make_moons(80, noise=0.2, random_state=0)
    own = StructureClassifier(**TINY | LONGER, random_state=0)
    boosted = AdaBoostClassifier(own, n_estimators=2, random_state=0).fit(X, y)
    assert len(boosted.estimators_) == 2 and boosted.score(X, y) > 0.7
    assert any("taken as shares" in note for note in boosted.estimators_[0].notes_)
    numbers = AdaBoostRegressor(StructureRegressor(**TINY, random_state=0), n_estimators=2,
                                random_state=0).fit(X, X[:, 0])
    assert np.isfinite(numbers.predict(X)).all()
