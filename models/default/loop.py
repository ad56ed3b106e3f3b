"""The training loop: budget, checkpoints, bad batches, log. train_vae.py, train_text.py and train_dit.py
supply a Trainer.

A step draws its randomness from (seed, step) alone, so a killed and resumed run with --steps repeats an
uninterrupted one bit for bit. A budget in minutes counts the time of all slices.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from .checkpoint import load_state, save_state
from .threads import Threads

MAX_BAD_BATCHES = 3


class BadBatches(RuntimeError):
    """Too many batches without a finite loss."""


class Trainer(Protocol):
    def config(self) -> dict[str, Any]:
        """What a checkpoint must agree in."""

    def loss(self, step: int, fraction: float) -> Tensor:
        """Forward and backward of one batch."""

    def update(self, step: int, fraction: float) -> None:
        """Apply the gradients."""

    def discard(self) -> None:
        """Forget the gradients."""

    def state(self) -> dict[str, Any]: ...

    def load(self, state: dict[str, Any]) -> None: ...

    def evaluate(self) -> dict[str, Any]:
        """Figures of the averaged weights."""

    def describe(self) -> dict[str, Any]:
        """Figures of the last batch for the log: 'samples' and whatever explains the loss."""


@dataclass
class Budget:
    """Minutes or steps. `spent` is the time of earlier slices in seconds."""

    minutes: float = 0.0
    steps: int | None = None
    spent: float = 0.0
    begin: float = field(default_factory=time.monotonic)

    def elapsed(self) -> float:
        return self.spent + time.monotonic() - self.begin

    def fraction(self, step: int) -> float:
        if self.steps is not None:
            return step / self.steps
        return self.elapsed() / max(1e-9, self.minutes * 60)


@dataclass
class Schedule:
    log_every: int = 50  # steps
    save_every: float = 240.0  # seconds
    evaluate_every: float = 480.0
    spike: float = math.inf  # skip a batch whose loss is this many times the running mean
    stop: Callable[[], bool] = lambda: False


class Run:
    """One trainer with its budget and its directory (state.pt, log.jsonl)."""

    def __init__(self, trainer: Trainer, out: Path, budget: Budget, schedule: Schedule):
        self.trainer, self.out, self.budget, self.schedule = trainer, out, budget, schedule
        self.step, self.mean, self.samples, self.bad, self.spikes = 0, None, 0, 0, 0
        self.threads = Threads() if budget.steps is None else None
        out.mkdir(parents=True, exist_ok=True)

    @property
    def path(self) -> Path:
        return self.out / "state.pt"

    def resume(self) -> bool:
        """Continue from the last state, if there is one."""
        if not self.path.exists():
            return False
        state = load_state(self.path, self.trainer.config())
        self.trainer.load(state["trainer"])
        self.step, self.mean, self.samples = state["step"], state["mean"], state["samples"]
        self.budget.spent = state["spent"]
        self.say(f"resumed at step {self.step}, {state['spent'] / 60:.1f} minutes spent")
        return True

    def save(self) -> None:
        own = {"step": self.step, "mean": self.mean, "samples": self.samples, "spent": self.budget.elapsed()}
        save_state(self.path, {**own, "config": self.trainer.config(), "trainer": self.trainer.state()})

    def train(self) -> bool:
        """Until the budget is spent (True) or `stop` says so (False)."""
        saved = evaluated = ticked = time.monotonic()
        samples = self.samples
        while (fraction := self.budget.fraction(self.step)) < 1:
            if self.schedule.stop():
                self.save()
                return False
            if self.threads and self.step % 5 == 0:
                self.threads.adapt()
            self._one(fraction)
            now = time.monotonic()
            if self.step % self.schedule.log_every == 0:
                rate = (self.samples - samples) / max(1e-9, now - ticked)
                self._log(fraction, rate)
                ticked, samples = now, self.samples
            if now - saved > self.schedule.save_every:
                self.save()
                saved = time.monotonic()
            if now - evaluated > self.schedule.evaluate_every:
                self.report()
                evaluated = time.monotonic()
        self.save()
        self.report()
        return True

    def _one(self, fraction: float) -> None:
        loss = float(self.trainer.loss(self.step, fraction))
        if not math.isfinite(loss):
            self.bad += 1
            self.trainer.discard()
            self.say(f"step {self.step}: loss is {loss}; batch skipped ({self.bad} of {MAX_BAD_BATCHES})")
            if self.bad >= MAX_BAD_BATCHES:
                raise BadBatches(f"{self.bad} batches without a finite loss; {self.path} holds the last good state")
        elif self.mean is not None and loss > self.schedule.spike * self.mean:
            self.spikes += 1
            self.trainer.discard()
            self.say(f"step {self.step}: loss {loss:.3g} against a mean of {self.mean:.3g}; batch skipped")
        else:
            self.trainer.update(self.step, fraction)
            self.mean = loss if self.mean is None else 0.98 * self.mean + 0.02 * loss
        self.step += 1
        self.samples += self.trainer.describe()["samples"]

    def _log(self, fraction: float, rate: float) -> None:
        self.write(
            step=self.step,
            fraction=fraction,
            loss=self.mean,
            rate=rate,
            threads=torch.get_num_threads(),
            **self.trainer.describe(),
        )

    def report(self) -> None:
        self.write(step=self.step, minutes=self.budget.elapsed() / 60, **self.trainer.evaluate())

    def write(self, **row: Any) -> None:
        row = {k: round(v, 5) if isinstance(v, float) else v for k, v in row.items()}
        with (self.out / "log.jsonl").open("a") as f:
            f.write(json.dumps({**row, "bad": self.bad, "spikes": self.spikes}) + "\n")
        self.say("  ".join(f"{k} {v}" for k, v in row.items()))

    def say(self, text: str) -> None:
        print(f"[{self.out.name}] {text}", flush=True)
