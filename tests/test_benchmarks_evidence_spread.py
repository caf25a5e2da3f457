"The parts of a variance come back where they were put in, and stated errors hold 95 %."
import numpy as np

from benchmarks.evidence.spread import coverage, parts


def test_parts_of_a_variance_are_those_that_made_it():
    rng = np.random.default_rng(0)
    made = {(24, 1, 1): 3.0, (1, 2, 1): 1.0, (1, 1, 6): 2.0, (24, 2, 1): 1.0, (24, 1, 6): 1.5,
            (24, 2, 6): 0.5}
    found = [parts(sum(rng.normal(0, s, size) for size, s in made.items())) for _ in range(200)]
    mean = {k: np.mean([f[k] for f in found]) for k in found[0]}
    wanted = {"order": 9, "start": 1, "network": 4, "order and start": 1, "order and network": 2.25,
              "start and network": 0, "rest": 0.25}
    assert mean.keys() == wanted.keys()
    assert all(abs(mean[k] - v) < 0.15 * v + 0.05 for k, v in wanted.items() if k != "network")
    assert abs(mean["network"] - 4) < 0.6


def test_stated_errors_hold_more_than_standard_ones():
    rng = np.random.default_rng(1)
    v = rng.normal(0, 3, (40, 1, 1)) + rng.normal(0, 1, (40, 1, 6))
    found = coverage(v)
    assert found["standard"] < 0.93 < found["stated"] < 0.98
