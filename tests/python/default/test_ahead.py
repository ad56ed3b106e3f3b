"""Other processes work ahead of what takes their results, but not further than they are told."""

from concurrent.futures import Executor, Future
from typing import Any

import pytest

from models.default.ahead import in_order


class Immediate(Executor):
    """Does the work when it is submitted, and counts."""

    def __init__(self) -> None:
        self.submitted = 0

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        self.submitted += 1
        f: Future[Any] = Future()
        try:
            f.set_result(fn(*args, **kwargs))
        except ValueError as e:
            f.set_exception(e)
        return f


def test_results_come_in_order_and_few_wait() -> None:
    pool, taken = Immediate(), 0
    for value in in_order(pool, lambda k: k * k, ((k,) for k in range(40)), 5):
        assert value == taken * taken
        taken += 1
        assert pool.submitted <= min(40, taken + 5)
    assert taken == 40


def test_fewer_jobs_than_may_wait() -> None:
    assert list(in_order(Immediate(), lambda k: k, ((k,) for k in range(3)), 8)) == [0, 1, 2]


def test_a_failed_job_raises_where_its_result_is_taken() -> None:
    results = in_order(Immediate(), lambda k: int("x" if k else "7"), ((k,) for k in range(2)), 0)
    assert next(results) == 7
    with pytest.raises(ValueError, match="invalid literal"):
        next(results)
