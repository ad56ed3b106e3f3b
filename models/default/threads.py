"""How many threads a background training uses while others need the machine.

Two threads that wait for each other on cores that also do something else are far slower than one: measured
on two busy cores, a step of the autoencoder took 13 s with two threads and 3.4 s with one; idle, 0.6 and 1.1.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

PRESSURE = Path("/proc/pressure/cpu")
BUSY, QUIET = 25.0, 4.0  # percent of the last ten seconds in which some process waited for a core
ALONE = 1.4  # load average of this training by itself, with a margin


class Threads:
    """Switches between one thread and all of them. Results differ in the last bit with the number of threads,
    so a run that must repeat bit for bit keeps it fixed."""

    def __init__(self, most: int | None = None):
        self.most = most or torch.get_num_threads()
        self.now = self.most

    def adapt(self) -> None:
        if self.most > 1 and (pressure := waiting()) is not None:
            alone = pressure < QUIET and os.getloadavg()[0] < ALONE
            wanted = 1 if pressure > BUSY else self.most if alone else self.now
            if wanted != self.now:
                torch.set_num_threads(wanted)
                self.now = wanted


def waiting() -> float | None:
    """Share of the last ten seconds, in percent, or None where the system does not say."""
    try:
        fields = PRESSURE.read_text().split("\n", 1)[0].split()
    except OSError:
        return None
    return float(next(f for f in fields if f.startswith("avg10=")).removeprefix("avg10="))


@contextmanager
def fixed(n: int) -> Iterator[None]:
    """n threads within this block."""
    before = torch.get_num_threads()
    torch.set_num_threads(n)
    try:
        yield
    finally:
        torch.set_num_threads(before)
