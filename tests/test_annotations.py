"The checks of annotations see what they are there to see."
from contextlib import suppress
from dataclasses import dataclass

import pytest
from annotations import EACH, FIRST, checked
from beartype.roar import BeartypeCallHintViolation
from jaxtyping import Float
from torch import Tensor, zeros

from bstruct.core.trees import tree_add
from bstruct.structure.simplex import Simplex


@checked
def product(a: Float[Tensor, "n m"], b: Float[Tensor, " m"], scale: int = 1) -> Float[Tensor, " n"]:
    return a @ b * scale if scale else a


@checked
def doubled(x: int) -> int:
    return x * 2 if x < 9 else str(x)


@checked
@dataclass
class Pair:
    left: int
    right: Float[Tensor, " n"]


@pytest.mark.parametrize("call", [
    lambda: product(zeros(3), zeros(2)), lambda: product(zeros(3, 2), zeros(3)),
    lambda: product(zeros(3, 2), zeros(2), 1.5), lambda: product(zeros(3, 2), zeros(2), 0),
    lambda: doubled("a"), lambda: doubled(9), lambda: Pair("a", zeros(2)),
    lambda: Pair(1, zeros(2, 2)), lambda: Simplex(1.5)])
def test_what_an_annotation_forbids_is_refused(call):
    with pytest.raises(BeartypeCallHintViolation):
        for _ in range(EACH):  # other tests may have called it often
            with suppress(TypeError):  # of an unchecked call
                call()


def test_what_an_annotation_allows_passes():
    assert product(zeros(3, 2), zeros(2)).shape == (3,) and doubled(2) == 4
    assert product(zeros(2, 5), zeros(5)).shape == (2,)  # names are free again at each call
    assert Pair(1, zeros(2)).left == 1


def test_the_library_is_checked():
    assert hasattr(tree_add, "__wrapped__") and tree_add.__code__.co_name == "call"


def test_a_function_that_is_called_often_is_checked_at_first_and_now_and_then():
    @checked
    def same(x: int) -> int:
        return x

    def refused():
        try:
            same("a")
        except BeartypeCallHintViolation:
            return True
        return False

    assert all(refused() for _ in range(FIRST))
    assert sum(refused() for _ in range(4 * EACH)) == 4


def test_an_inner_function_is_checked_where_it_is_made_first_and_now_and_then():
    def refused():
        @checked
        def inner(x: int) -> int:
            return x

        try:
            inner("a")
        except BeartypeCallHintViolation:
            return True
        return False

    assert all(refused() for _ in range(FIRST))
    assert sum(refused() for _ in range(4 * EACH)) == 4


def test_a_class_that_other_tests_used_is_checked_now_and_then():
    for size in range(FIRST + 1):
        Simplex(("zero", f"linear{size}"))
    test_what_an_annotation_forbids_is_refused(lambda: Simplex(1.5))
