"""Work done by other processes ahead of its use, a few results at a time: a pool that runs as far ahead as it can
fills the memory with clips when what takes them is slower."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from typing import Any, TypeVar

T = TypeVar("T")


def in_order(pool: Executor, work: Callable[..., T], jobs: Iterator[tuple[Any, ...]], ahead: int) -> Iterator[T]:
    """Results in the order of the jobs, at most `ahead` + 1 of which are under way or wait to be taken."""
    pending: deque[Future[T]] = deque()
    for job in jobs:
        pending.append(pool.submit(work, *job))
        if len(pending) > ahead:
            yield pending.popleft().result()
    while pending:
        yield pending.popleft().result()
