"""The training loop: budget, checkpoints, bad batches, log; and what all trainings have in common. train_vae.py,
train_text.py, train_dit.py and train_classifier.py supply a Trainer each.

A step draws its randomness from (seed, step) alone, so a killed and resumed run with --steps repeats an
uninterrupted one bit for bit. A budget in minutes counts the time of all slices.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from .optim import Average, Muon
from .state import load_state, save_state
from .threads import Threads

MAX_BAD_BATCHES = 3


class BadBatches(RuntimeError):
    """Too many batches without a finite loss."""


@dataclass
class Optimisers:
    """Muon for weight matrices, AdamW for the rest, and the average that is shipped."""

    adam: torch.optim.AdamW
    clipped: list[Tensor]  # their gradients together are cut to length 1
    muon: Muon | None = None
    lr: float = 0.0  # of Muon
    average: Average | None = None


class Trainer:
    """One model in training. Subclasses say what a batch costs (`loss`) and how the rate moves (`factor`)."""

    def __init__(self, model: nn.Module, device: str, optimisers: Optimisers):
        self.model, self.device, self.optimisers = model, device, optimisers
        self.bases = [g["lr"] for g in optimisers.adam.param_groups]
        self.last: dict[str, Any] = {"samples": 0}  # figures of the last batch; tensors stay on the device

    def config(self) -> dict[str, Any]:
        """What a checkpoint must agree in."""
        raise NotImplementedError

    def loss(self, step: int, fraction: float) -> Tensor:
        """Forward and backward of one batch; sets `last`, with at least its 'samples'."""
        raise NotImplementedError

    def factor(self, step: int, fraction: float) -> float:
        """Of the learning rates."""
        raise NotImplementedError

    def evaluate(self) -> dict[str, Any]:
        """Figures of the averaged weights."""
        raise NotImplementedError

    def autocast(self) -> AbstractContextManager[None]:
        return torch.autocast(self.device.split(":")[0], dtype=torch.bfloat16)

    def update(self, step: int, fraction: float) -> None:
        """Apply the gradients."""
        o, factor = self.optimisers, self.factor(step, fraction)
        torch.nn.utils.clip_grad_norm_(o.clipped, 1.0)
        if o.muon:
            o.muon.step(o.lr * factor)
        for group, base in zip(o.adam.param_groups, self.bases, strict=True):
            group["lr"] = base * factor
        o.adam.step()
        self.discard()
        if o.average:
            o.average.update(self.model)
        self.last["lr"] = factor

    def discard(self) -> None:
        """Forget the gradients."""
        for p in self.model.parameters():
            p.grad = None

    def parts(self) -> dict[str, Any]:
        o = self.optimisers
        parts = {"model": self.model, "muon": o.muon, "adam": o.adam, "average": o.average}
        return {k: v for k, v in parts.items() if v is not None}

    def state(self) -> dict[str, Any]:
        return {k: v.state_dict() for k, v in self.parts().items()}

    def load(self, state: dict[str, Any]) -> None:
        for k, v in self.parts().items():
            v.load_state_dict(state[k])

    def averages(self) -> Average:
        if self.optimisers.average is None:
            raise ValueError("this training keeps no average")
        return self.optimisers.average

    def restart_average(self) -> None:
        """From the weights that the model has now, as after loading a start."""
        self.optimisers.average = Average(self.model, self.averages().decay)

    def describe(self) -> dict[str, Any]:
        """`last` as numbers."""
        return {k: v.item() if isinstance(v, Tensor) else v for k, v in self.last.items()}


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
    watch: int = 0  # steps between looks at the losses on the device (Watch); 0: every loss, on the host
    stop: Callable[[], bool] = lambda: False


class Watch:
    """Judges losses on the device. The host, which would wait for every step, only collects the counts: of a bad
    batch the gradients become zero before the update, so that it moves nothing but the momentum on."""

    def __init__(self, run: Run):
        self.run = run
        mean = math.nan if run.mean is None else run.mean
        self.mean = torch.tensor(mean, device=run.trainer.device)
        self.skipped = torch.zeros(2, dtype=torch.int64, device=run.trainer.device)  # not finite, spikes

    def mute(self, loss: Tensor) -> None:
        finite = loss.isfinite()
        spike = finite & (loss > self.run.schedule.spike * self.mean)
        bad = ~finite | spike
        for p in self.run.trainer.model.parameters():
            if p.grad is not None:
                p.grad.masked_fill_(bad, 0)
        self.skipped += torch.stack([~finite, spike])
        mean = torch.where(self.mean.isnan(), loss, 0.98 * self.mean + 0.02 * loss)
        self.mean = torch.where(bad, self.mean, mean)

    def collect(self) -> None:
        """Waits for the device."""
        run, mean = self.run, self.mean.item()
        bad, spikes = self.skipped.tolist()
        self.skipped.zero_()
        run.mean = None if math.isnan(mean) else mean
        run.bad, run.spikes = run.bad + bad, run.spikes + spikes
        if bad or spikes:
            run.say(f"up to step {run.step}: {bad} losses not finite, {spikes} spikes; batches skipped")
        run.stop_if_bad()


class Run:
    """One trainer with its budget and its directory (state.pt, log.jsonl)."""

    def __init__(self, trainer: Trainer, out: Path, budget: Budget, schedule: Schedule):
        self.trainer, self.out, self.budget, self.schedule = trainer, out, budget, schedule
        self.step, self.samples, self.bad, self.spikes = 0, 0, 0, 0
        self.mean: float | None = None
        self.watch: Watch | None = None
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
        if self.watch:
            self.watch.collect()
        own = {"step": self.step, "mean": self.mean, "samples": self.samples, "spent": self.budget.elapsed()}
        save_state(self.path, {**own, "config": self.trainer.config(), "trainer": self.trainer.state()})

    def train(self) -> bool:
        """Until the budget is spent (True) or `stop` says so (False)."""
        saved = evaluated = ticked = time.monotonic()
        samples = self.samples
        self.watch = Watch(self) if self.schedule.watch else None
        while (fraction := self.budget.fraction(self.step)) < 1:
            if self.schedule.stop():
                self.save()
                return False
            if self.threads and self.step % 5 == 0:
                self.threads.adapt()
            self._one(fraction)
            now = time.monotonic()
            if self.step % self.schedule.log_every == 0:
                if self.watch:
                    self.watch.collect()
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
        loss = self.trainer.loss(self.step, fraction)
        if self.watch:
            self.watch.mute(loss)
            self.trainer.update(self.step, fraction)
        else:
            self._judge(float(loss), fraction)
        self.step += 1
        self.samples += self.trainer.last["samples"]
        if self.watch and self.step % self.schedule.watch == 0:
            self.watch.collect()

    def _judge(self, loss: float, fraction: float) -> None:
        if not math.isfinite(loss):
            self.bad += 1
            self.trainer.discard()
            self.say(f"step {self.step}: loss is {loss}; batch skipped ({self.bad} of {MAX_BAD_BATCHES})")
            self.stop_if_bad()
        elif self.mean is not None and loss > self.schedule.spike * self.mean:
            self.spikes += 1
            self.trainer.discard()
            self.say(f"step {self.step}: loss {loss:.3g} against a mean of {self.mean:.3g}; batch skipped")
        else:
            self.trainer.update(self.step, fraction)
            self.mean = loss if self.mean is None else 0.98 * self.mean + 0.02 * loss

    def stop_if_bad(self) -> None:
        if self.bad >= MAX_BAD_BATCHES:
            raise BadBatches(f"{self.bad} batches without a finite loss; {self.path} holds the last good state")

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
