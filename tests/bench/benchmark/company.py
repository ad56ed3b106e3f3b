"""What else the machine did while the benchmark ran: the cores that other processes took, on average. Linux only."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

IDLE = (3, 4)  # idle and waiting for disks, of the columns of /proc/stat
GUEST = 8  # from here on, what earlier columns count already


def busy_seconds(stat: str) -> float:
    """CPU seconds of the whole machine since it started, from the text of /proc/stat."""
    ticks = [int(v) for v in stat.splitlines()[0].split()[1 : 1 + GUEST]]
    return (sum(ticks) - sum(ticks[i] for i in IDLE)) / os.sysconf("SC_CLK_TCK")


def own_seconds() -> float:
    """CPU seconds of this process and of the children that have ended."""
    t = os.times()
    return t.user + t.system + t.children_user + t.children_system


class Company:
    """A watch that is read when the children whose time is to be left out have ended."""

    def __init__(self) -> None:
        self.begin = time.monotonic(), busy_seconds(Path("/proc/stat").read_text()), own_seconds()

    def so_far(self) -> dict[str, float]:
        begin, busy, own = self.begin
        seconds = time.monotonic() - begin
        others = busy_seconds(Path("/proc/stat").read_text()) - busy - (own_seconds() - own)
        return {"seconds": round(seconds, 1), "others": round(max(0.0, others / seconds), 3)}


def mean_company(runs: list[dict[str, Any]]) -> float | None:
    """Over all runs, by their length; None without any."""
    length = sum(r["seconds"] for r in runs)
    return sum(r["others"] * r["seconds"] for r in runs) / length if length > 0 else None
