"scikit-learn's own suite, whole: no check is expected to fail."
from sklearn.base import clone
from sklearn.utils.estimator_checks import parametrize_with_checks

from bstruct.use.estimators import StructureClassifier, StructureRegressor

# Most checks look at interfaces, and a step of training is as good as a hundred: two starts of two
# structures remain, and their average. Those that judge what was learned train on.
TINY = dict(epochs=1, min_steps=1, starts=2, tempering=(0.1, 0.01), screened=2, finalists=1,
            blocks=1, samples=4, hidden=(4,), candidates=("linear", "linear+tanh"),
            learning_rate=0.05)
LEARNED = ("check_classifiers_train", "check_regressors_train")
LONGER = dict(epochs=2, min_steps=60, hidden=(16,))


@parametrize_with_checks([StructureClassifier(**TINY), StructureRegressor(**TINY)])
def test_scikit_learn_agrees(estimator, check):
    check(clone(estimator).set_params(**LONGER) if check.func.__name__ in LEARNED else estimator)
