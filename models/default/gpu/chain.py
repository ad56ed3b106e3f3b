"""One slice of the chain: probe, autoencoder, latents, text encoder, transformer, each from where it stopped.

The work folder holds the states (vae/, text/, dit/, latents.pt, progress.json); export.py makes of them what is
brought home. A slice ends by itself, `reserve` seconds before its limit; a killed one goes on from the last state.
"""

from __future__ import annotations

import gc
import json
import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..latents import encoder_digest
from ..loop import Budget, Run, Schedule
from ..state import save_state, write_json
from ..train_dit import compile_blocks
from ..train_text import GateFailed, order_accuracy
from ..train_vae import Bank
from ..vae import VAE
from . import shards
from .banks import ClipBank, Filler, LatentBank, Statistics
from .feed import Feed, Order
from .probe import Found, Probe, compile_if_faster, dit_config
from .samples import draw_sheet
from .settings import Settings
from .trainers import DeviceDiTTrainer, DeviceVAETrainer, FedTextTrainer
from .unigram import Unigram

SHARES = {"vae": 0.27, "text": 0.03}  # of all minutes, both in the first slice; the transformer takes what is left
GATE_TRIES = 3
NOTE_EVERY = 10.0  # seconds


@dataclass(frozen=True)
class Request:
    kit: Path
    work: Path
    device: str
    settings: Settings
    minutes: float  # of all slices together
    slice: float  # seconds
    reserve: float
    workers: int
    earlier: tuple[Path, ...] = ()  # folders with the shards of a lost machine


class Slice:
    def __init__(self, request: Request):
        self.begin = time.monotonic()
        self.r, self.s, self.device = request, request.settings, request.device
        self.words = Unigram(request.kit / "vocabulary.json")
        self.frozen, self.statistics = request.work / "vae" / "frozen.pt", request.work / "statistics.pt"
        request.work.mkdir(parents=True, exist_ok=True)
        self.file = request.work / "progress.json"
        self.progress: dict[str, Any] = {"used": 0.0, "slices": 0, "found": None, "compiled": None, "done": False}
        if self.file.exists():
            self.progress |= json.loads(self.file.read_text())
        self.before = self.progress["used"]
        self.can_draw = False
        self.progress["slices"] += 1
        self.earlier = shards.read(request.earlier) if request.earlier else {}
        if self.earlier and (found := shards.about(request.earlier)["progress"]["found"]):
            self.s = replace(self.s, presets=(found["preset"],))  # the transformer that the shards are of

    def say(self, text: str) -> None:
        print(f"[slice {self.progress['slices']}, {time.monotonic() - self.begin:.0f} s] {text}", flush=True)

    def note(self, **values: Any) -> None:
        """A killed slice loses at most the time since the last note."""
        self.noted = time.monotonic()
        self.progress |= {**values, "used": self.before + time.monotonic() - self.begin}
        write_json(self.file, self.progress)

    def over(self) -> bool:
        if time.monotonic() - self.noted > NOTE_EVERY:
            self.note()
        return time.monotonic() - self.begin > self.r.slice - self.r.reserve

    def left(self) -> float:
        """Seconds of the plan that can still be trained, the costs of later slices taken off."""
        spent = time.monotonic() - self.begin
        left = self.r.minutes * 60 - self.before - spent
        later = math.ceil(max(0.0, left - (self.r.slice - spent)) / self.r.slice)
        return left - self.r.reserve - later * self.s.between

    def schedule(self, **values: Any) -> Schedule:
        s = self.s
        return Schedule(log_every=s.watch, save_every=s.save_every, evaluate_every=s.evaluate_every, watch=s.watch,
                        stop=self.over, **values)  # fmt: skip

    def run(self) -> bool:
        """Whether the whole chain is done."""
        self.note()
        s = self.s
        order = Order(self.r.kit, s.frames, s.size, s.wordings)
        with Feed(order, self.r.workers) as feed:
            vae = self.vae(feed)
            if vae is None:
                return False
            self.free()
            with self.latents(vae, feed) as (bank, filler):
                done = not self.over() and self.text(feed) and self.dit(bank, filler, vae)
                self.note(done=done)
        return done

    def budget(self, stage: str) -> Budget:
        return Budget(minutes=self.r.minutes * SHARES[stage])

    def found(self) -> Found:
        """The probe's result, measured in the first slice."""
        if self.progress["found"] is None:
            seconds = max(0.0, self.left() - self.r.minutes * 60 * sum(SHARES.values()))
            found = Probe(self.s, self.words, self.device, self.say).run(seconds)
            self.note(found=asdict(found))
            self.free()
        return Found(**self.progress["found"])

    def free(self) -> None:
        """Gives the memory of what is no longer used back at once: the clips alone are a third of the device."""
        gc.collect()
        if self.device.startswith("cuda"):
            torch.cuda.empty_cache()

    def vae(self, feed: Feed) -> VAE | None:
        """The frozen autoencoder, or None where the slice ended before it was."""
        if self.restore_vae() or self.frozen.exists():
            state = torch.load(self.frozen, weights_only=True)
            self.found()
            return self.module(state["weights"])
        s, clips = self.s, ClipBank(self.s.clips, self.s.frames, self.s.size, self.device)
        held = Bank(*(np.stack(v) for v in zip(*feed.plain(range(s.held), "held"), strict=True)))
        first = (self.progress["slices"] - 1) * s.clips  # a slice that goes on sees clips that are new
        filler = Filler(feed.plain(range(first, first + s.clips), "train"), clips.add, 16, self.device)
        try:
            found = self.found()
            filler.wait(lambda: clips.ready >= min(s.start, s.clips))
            trainer = DeviceVAETrainer(clips, held, self.folder("vae"), s.vae_options(found.vae_batch), s.vae)
            trainer.filler = filler
            run = Run(trainer, self.folder("vae"), self.budget("vae"), self.schedule())
            if not run.resume():
                parts = {f"{k}.{n}": v for k in ("encoder", "decoder") for n, v in self.earlier.get(k, {}).items()}
                trainer.start(parts or None)
                self.say("autoencoder starts" + (" from the averaged weights of an earlier machine" if parts else ""))
            if not run.train():
                return None
        finally:
            filler.stop()
        return self.freeze(trainer)

    def module(self, weights: dict[str, Tensor]) -> VAE:
        """Weights from a lost machine may have no decoder: nothing can be drawn then, all else goes on."""
        vae = VAE(self.s.vae)
        self.can_draw = any(k.startswith("decoder.") for k in weights)
        vae.load_state_dict(weights, strict=self.can_draw)
        return vae.to(self.device).to(memory_format=torch.channels_last).eval()

    def freeze(self, trainer: DeviceVAETrainer) -> VAE:
        """The averaged weights, rounded as they will be shipped: the latents belong to exactly these."""
        average = trainer.averages()
        average.weights = {k: v.bfloat16().float() for k, v in average.weights.items()}
        figures = trainer.evaluate()
        weights = {k: v.cpu() for k, v in average.weights.items()}
        save_state(self.frozen, {"weights": weights, "figures": figures})
        self.say(f"autoencoder is frozen: {figures}")
        return self.module(weights)

    def restore_vae(self) -> bool:
        """From the shards of an earlier machine, if its autoencoder was finished."""
        if self.frozen.exists() or not self.earlier:
            return False
        about = shards.about(self.r.earlier)
        if not about["vae"]["frozen"]:
            return False
        weights = {f"{k}.{n}": v for k in ("encoder", "decoder") for n, v in self.earlier.get(k, {}).items()}
        if (found := encoder_digest(weights)) != about["vae"]["encoder"]:
            raise ValueError(f"the shards' encoder is {found}, about.json says {about['vae']['encoder']}")
        self.folder("vae")
        save_state(self.frozen, {"weights": weights, "figures": about["vae"]["figures"]})
        if known := about.get("statistics"):
            save_state(self.statistics, {k: torch.tensor(v) if isinstance(v, list) else v for k, v in known.items()})
        self.say("the autoencoder comes from an earlier machine")
        return True

    def folder(self, name: str) -> Path:
        path = self.r.work / name
        path.mkdir(parents=True, exist_ok=True)
        return path

    @contextmanager
    def latents(self, vae: VAE, feed: Feed) -> Iterator[tuple[LatentBank, Filler[Any]]]:
        """The latent bank, growing; kept for the next slice."""
        s, file = self.s, self.r.work / "latents.pt"
        bank = LatentBank(vae, s.latents, self.device)
        if file.exists():
            bank.load(torch.load(file, weights_only=True))
        else:
            if self.statistics.exists():
                bank.statistics = Statistics.from_dict(torch.load(self.statistics, weights_only=True), self.device)
            bank.begin(list(feed.worded(range(s.statistics))))
            assert bank.statistics is not None
            save_state(self.statistics, bank.statistics.to_dict())
        self.say(f"{bank.ready} clips of latents, {bank.dropped} outliers left out")
        missing = s.latents - bank.ready
        filler = Filler(feed.worded(range(bank.seed, bank.seed + missing)), bank.add, 32, self.device)
        begun = bank.ready
        try:
            yield bank, filler
        finally:
            filler.stop()
            if not self.progress["done"] and (bank.ready > begun or not file.exists()):
                save_state(file, bank.state())
            self.say(f"{bank.ready} clips of latents at the end")

    def text(self, feed: Feed) -> bool:
        if "dit" in self.earlier or (self.r.work / "dit" / "state.pt").exists():
            return True
        config = dit_config(self.s, self.found().preset, self.words)
        trainer = FedTextTrainer(config, self.words, self.s.text_options(), feed, self.device)
        run = Run(trainer, self.folder("text"), self.budget("text"), self.schedule())
        run.resume()
        for k in range(GATE_TRIES):
            run.budget.minutes = self.budget("text").minutes * (k + 1)
            if run.budget.fraction(run.step) < 1 and not run.train():
                return False
            accuracy = order_accuracy(trainer.model, self.words)
            self.say(f"text encoder reads {accuracy:.1%} of the order-only directions")
            if accuracy >= self.s.gate:
                return True
        raise GateFailed(f"after {GATE_TRIES} budgets it reads {accuracy:.1%}, needs {self.s.gate:.0%}")

    def dit(self, bank: LatentBank, filler: Filler[Any], vae: VAE) -> bool:
        found = self.found()
        config = dit_config(self.s, found.preset, self.words)
        trainer = DeviceDiTTrainer(config, bank, self.words, self.s.dit_options(found.dit_batch))
        trainer.filler = filler
        run = Run(trainer, self.folder("dit"), Budget(), self.schedule(spike=3.0))
        if not run.resume():
            self.start_dit(trainer)
        if self.progress["compiled"]:
            compile_blocks(trainer.model.dit)
        elif self.progress["compiled"] is None and self.device.startswith("cuda"):
            self.note(compiled=compile_if_faster(trainer, found.dit_batch, self.say))
        if self.can_draw:
            trainer.after = lambda: draw_sheet(trainer, vae, self.s, self.folder("dit") / "sheet.png")
        run.budget.minutes = (run.budget.elapsed() + self.left()) / 60
        self.say(f"transformer {found.preset}, batch {found.dit_batch}: step {run.step}, "
                 f"{self.left() / 60:.1f} minutes to go")  # fmt: skip
        return run.train()

    def start_dit(self, trainer: DeviceDiTTrainer) -> None:
        if "dit" in self.earlier:
            names = ("dit", "text")
            trainer.start(None, {f"{k}.{n}": v for k in names for n, v in self.earlier[k].items()})
            self.say(f"transformer starts from averaged weights, warmed up over {trainer.o.warm} steps")
        else:
            text = torch.load(self.r.work / "text" / "state.pt", weights_only=True)
            trainer.start(text["trainer"]["model"])
