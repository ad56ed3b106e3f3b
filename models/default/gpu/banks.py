"""Clips and latents on the device, filled by a thread while the training draws from what is there."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np
import torch
from torch import Tensor

from ..latents import OUTLIER, channel_weight, encoder_digest
from ..vae import VAE
from .feed import WordedClip, Wording

T = TypeVar("T")


class Filler(Generic[T]):
    """A thread that hands items to `sink` in groups. On a GPU it has a stream of its own: behind the queue of the
    training, every copy would wait for seconds. A failure in it is raised by `check`, in the training."""

    def __init__(self, items: Iterable[T], sink: Callable[[list[T]], None], group: int, device: str):
        self.items, self.sink, self.group = items, sink, group
        self.stream = torch.cuda.Stream(device) if device.startswith("cuda") else None
        if self.stream:
            self.stream.wait_stream(torch.cuda.current_stream())
        self.failure: BaseException | None = None
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _context(self) -> AbstractContextManager[Any]:
        return torch.cuda.stream(self.stream) if self.stream else nullcontext()

    def _run(self) -> None:
        group: list[T] = []
        try:
            with self._context():
                for item in self.items:
                    if self.stopping.is_set():
                        return
                    group.append(item)
                    if len(group) == self.group:
                        self.sink(group)
                        group = []
                if group:
                    self.sink(group)
        except BaseException as e:
            self.failure = e

    def check(self) -> None:
        if self.failure is not None:
            raise RuntimeError(f"rendering stopped: {self.failure!r}") from self.failure

    def wait(self, enough: Callable[[], bool]) -> None:
        """Until enough is there, or all that will come."""
        while not enough() and self.thread.is_alive():
            time.sleep(0.02)
        self.check()

    def stop(self) -> None:
        self.stopping.set()
        self.thread.join()


class Rows:
    """Tensors with one row per clip, of which the first `ready` are filled."""

    def __init__(self, capacity: int, device: str):
        self.capacity, self.device, self.ready = capacity, device, 0

    def put(self, *pairs: tuple[Tensor, Tensor]) -> None:
        """pairs (tensor, new rows). What does not fit is dropped."""
        n = min(len(pairs[0][1]), self.capacity - self.ready)
        for tensor, rows in pairs:
            tensor[self.ready : self.ready + n].copy_(rows[:n])
        if self.device.startswith("cuda"):
            torch.cuda.current_stream().synchronize()  # another stream reads them as soon as `ready` says so
        self.ready += n


class ClipBank(Rows):
    """clips u8 [N, T, 3, S, S], cover u8 [N, T, S, S]"""

    def __init__(self, capacity: int, frames: int, size: int, device: str):
        super().__init__(capacity, device)
        self.clips = torch.empty(capacity, frames, 3, size, size, dtype=torch.uint8, device=device)
        self.cover = torch.empty(capacity, frames, size, size, dtype=torch.uint8, device=device)

    def add(self, clips: list[tuple[np.ndarray, np.ndarray]]) -> None:
        frames, cover = (torch.from_numpy(np.stack(v)) for v in zip(*clips, strict=True))
        self.put((self.clips, frames), (self.cover, cover))


@dataclass(frozen=True)
class Statistics:
    """Of the latents: what the transformer is tied to."""

    mean: Tensor  # [C]
    std: Tensor
    weight: Tensor
    encoder: str  # hash

    def to_dict(self) -> dict[str, Any]:
        return {"mean": self.mean.cpu(), "std": self.std.cpu(), "weight": self.weight.cpu(), "vae": self.encoder}

    @staticmethod
    def from_dict(d: dict[str, Any], device: str) -> Statistics:
        mean, std, weight = (d[k].to(device) for k in ("mean", "std", "weight"))
        return Statistics(mean, std, weight, d["vae"])


class LatentBank(Rows):
    """z bf16 [N, T', C, h, w], cover u8 [N, T', h, w], ids i16 [N, wordings + 1, length], classes i16
    [N, wordings, fields]. Clips with outlying latents are left out and counted."""

    NAMES = ("z", "cover", "ids", "classes")

    def __init__(self, vae: VAE, capacity: int, device: str):
        super().__init__(capacity, device)
        self.vae, self.dropped, self.seed = vae, 0, 0
        self.statistics: Statistics | None = None
        self.z = self.cover = self.ids = self.classes = torch.empty(0)

    def allocate(self, z: Tensor, wording: Wording) -> None:
        """z of one clip"""
        n, kinds = self.capacity, {"dtype": torch.int16, "device": self.device}
        grid = (n, z.shape[0], *z.shape[2:])
        self.z = torch.empty(n, *z.shape, dtype=torch.bfloat16, device=self.device)
        self.cover = torch.empty(grid, dtype=torch.uint8, device=self.device)
        self.ids = torch.empty(n, *wording.ids.shape, **kinds)
        self.classes = torch.empty(n, *wording.classes.shape, **kinds)

    @torch.no_grad()
    def encode(self, clips: list[WordedClip]) -> Tensor:
        x = torch.from_numpy(np.stack([c.frames for c in clips])).to(self.device).float() / 255
        with torch.autocast(self.device.split(":")[0], dtype=torch.bfloat16):
            return self.vae.encoder(x).to(torch.bfloat16)

    def begin(self, clips: list[WordedClip], group: int = 32) -> None:
        """Statistics from the first clips, or with those of an earlier machine; then those clips are kept."""
        z = torch.cat([self.encode(clips[k : k + group]) for k in range(0, len(clips), group)])
        if self.statistics is None:
            mean, std = z.float().mean((0, 1, 3, 4)), z.float().std((0, 1, 3, 4))
            weight = channel_weight(self.vae, z[:8], std.cpu()).to(self.device)
            self.statistics = Statistics(mean, std, weight, encoder_digest(self.vae.state_dict()))
        self.allocate(z[0], clips[0].wording)
        self._keep(z, clips)

    def add(self, clips: list[WordedClip]) -> None:
        if self.ready < self.capacity:
            self._keep(self.encode(clips), clips)

    def _keep(self, z: Tensor, clips: list[WordedClip]) -> None:
        self.seed += len(clips)
        keep = self.square(z) < OUTLIER
        self.dropped += int((~keep).sum())
        keep_cpu = keep.cpu().numpy()
        kept = [c for c, k in zip(clips, keep_cpu, strict=True) if k]
        if kept:
            cover, ids, classes = (
                torch.from_numpy(np.stack(v))
                for v in ([c.cover for c in kept], [c.wording.ids for c in kept], [c.wording.classes for c in kept])
            )
            self.put((self.z, z[keep]), (self.cover, cover), (self.ids, ids), (self.classes, classes))

    def square(self, z: Tensor) -> Tensor:
        """Mean square of the normalised latents of each clip, [N]"""
        return self.normalised(z).pow(2).mean((1, 2, 3, 4))

    def normalised(self, z: Tensor) -> Tensor:
        s = self.statistics
        assert s is not None
        return (z.float() - s.mean[:, None, None]) / s.std[:, None, None]

    def state(self) -> dict[str, Any]:
        assert self.statistics is not None
        rows = {k: getattr(self, k)[: self.ready].cpu() for k in self.NAMES}
        return {**rows, "statistics": self.statistics.to_dict(), "seed": self.seed, "dropped": self.dropped}

    def load(self, state: dict[str, Any]) -> None:
        self.statistics = Statistics.from_dict(state["statistics"], self.device)
        self.seed, self.dropped = state["seed"], state["dropped"]
        rows = {k: state[k] for k in self.NAMES}
        self.allocate(rows["z"][0], Wording(rows["ids"][0].numpy(), rows["classes"][0].numpy()))
        self.put(*((getattr(self, k), v) for k, v in rows.items()))
