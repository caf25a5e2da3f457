"scikit-learn's own suite, whole: no check is expected to fail."
from sklearn.utils.estimator_checks import parametrize_with_checks

from bstruct.use.estimators import StructureClassifier, StructureRegressor

QUICK = dict(epochs=2, min_steps=60, starts=2, tempering=(0.1, 0.01), screened=2, finalists=1, blocks=1, samples=4,
             hidden=(16,), candidates=("linear", "linear+tanh"), learning_rate=0.05)


@parametrize_with_checks([StructureClassifier(**QUICK), StructureRegressor(**QUICK)])
def test_scikit_learn_agrees(estimator, check):
    check(estimator)
