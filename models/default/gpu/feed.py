"""Worker processes that render clips and word captions ahead of the training.

A clip comes with its captions as ids, so that drawing a batch is indexing on the device and nothing else.
"""

from __future__ import annotations

import multiprocessing
import multiprocessing.connection
import os
import random
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch

from ..ahead import in_order
from ..captions import canonical, held_out
from ..dataset import Atlas, Clip, render
from ..latents import latent_cover
from ..train_text import TextOptions, draw_texts, word
from .unigram import Unigram

T = TypeVar("T")


@dataclass(frozen=True)
class Order:
    """What clips are made of. wordings: captions per clip, and the canonical one after them."""

    kit: Path
    frames: int
    size: int
    wordings: int


@dataclass(frozen=True)
class Wording:
    ids: np.ndarray  # i16 [wordings + 1, length], the last row is the canonical caption
    classes: np.ndarray  # i16 [wordings, fields]


@dataclass(frozen=True)
class WordedClip:
    frames: np.ndarray  # u8 [T, 3, S, S]
    cover: np.ndarray  # u8 [T', S/16, S/16], of each latent position
    wording: Wording


_order: Order | None = None
_atlas: Atlas | None = None
_words: Unigram | None = None


def _end_with_parent() -> None:
    """A killed training cannot tell its workers to end."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        multiprocessing.connection.wait([parent.sentinel])
        os._exit(1)


def _start(order: Order) -> None:
    global _order, _atlas, _words
    threading.Thread(target=_end_with_parent, daemon=True).start()
    torch.set_num_threads(1)
    _order, _atlas, _words = order, Atlas(order.kit / "atlas.npz"), Unigram(order.kit / "vocabulary.json")


def _render(seed: int, split: str) -> Clip:
    assert _order is not None and _atlas is not None
    c = render(seed, _atlas, split, size=_order.size, frames=_order.frames)
    if split == "train" and held_out(c.scene):
        raise ValueError(f"seed {seed} draws a combination of held_out.json; training must not see it")
    return c


def plain_clip(seed: int, split: str) -> tuple[np.ndarray, np.ndarray]:
    c = _render(seed, split)
    return c.frames.numpy(), c.cover.numpy()


def worded_clip(seed: int, split: str) -> WordedClip:
    assert _order is not None and _words is not None
    c = _render(seed, split)
    texts, classes = word([c.scene] * _order.wordings, random.Random(f"words-{seed}"), 0.0, _words)
    ids = _words([*texts, canonical(c.scene)]).numpy().astype(np.int16)
    wording = Wording(ids, np.array(classes, np.int16))
    return WordedClip(c.frames.numpy(), latent_cover(c.cover).numpy(), wording)


def text_batch(step: int, options: TextOptions) -> tuple[np.ndarray, np.ndarray]:
    """-> ids i16 [B, length], classes i16 [B, fields]"""
    assert _words is not None
    texts, classes = draw_texts(random.Random(f"text-{options.seed}-{step}"), options, _words)
    return _words(texts).numpy().astype(np.int16), np.array(classes, np.int16)


class Feed:
    """The worker processes. Close it, or use it as a context."""

    def __init__(self, order: Order, workers: int):
        context = multiprocessing.get_context("spawn")
        self.ahead = 3 * workers
        self.pool = ProcessPoolExecutor(workers, context, _start, (order,))

    def __enter__(self) -> Feed:
        return self

    def __exit__(self, *_: object) -> None:
        self.pool.shutdown(wait=True, cancel_futures=True)

    def each(self, work: Callable[..., T], jobs: Iterator[tuple[Any, ...]]) -> Iterator[T]:
        return in_order(self.pool, work, jobs, self.ahead)

    def plain(self, seeds: range, split: str) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        return self.each(plain_clip, ((seed, split) for seed in seeds))

    def worded(self, seeds: range) -> Iterator[WordedClip]:
        return self.each(worded_clip, ((seed, "train") for seed in seeds))
