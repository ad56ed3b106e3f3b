"""Data parallelism on a CPU: processes that share the batches of a transformer's training.

A process of two threads waits for the slower one at each of its many small operations; two processes of one thread
each wait once a step. The weights lie in shared memory, every process makes the gradients of its rows, and the first
one sums them in a fixed order: with the same number of processes a training repeats bit for bit.
"""

from __future__ import annotations

from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path

import torch
from torch import Tensor, nn

from . import latents
from .dit import DiTConfig
from .threads import fixed
from .tokenizer import Tokenizer
from .train_dit import DiTOptions, DiTTrainer, Share, compile_blocks


class ReplicaLost(RuntimeError):
    """A process that shares the batches has ended."""


@dataclass(frozen=True)
class Recipe:
    """What a replica needs to build its own trainer."""

    config: DiTConfig
    data: Path  # with latents.pt and tokenizer.model
    options: DiTOptions
    compile: bool

    def trainer(self) -> DiTTrainer:
        bank, tokenizer = latents.open_bank(self.data / "latents.pt"), Tokenizer(self.data / "tokenizer.model")
        trainer = DiTTrainer(self.config, bank, tokenizer, self.options, "cpu")
        if self.compile:
            compile_blocks(trainer.model.dit)
        return trainer


def cut(flat: Tensor, model: nn.Module) -> list[Tensor]:
    """A flat tensor as views in the shapes of the model's parameters."""
    params = list(model.parameters())
    return [v.view(p.shape) for v, p in zip(flat.split([p.numel() for p in params]), params, strict=True)]


def point_at(model: nn.Module, flat: Tensor) -> None:
    for p, v in zip(model.parameters(), cut(flat, model), strict=True):
        p.data = v


def work(recipe: Recipe, share: Share, memory: tuple[Tensor, Tensor], pipe: Connection) -> None:
    """A replica's life: gradients of its rows for every (step, fraction) that comes. It ends with the pipe."""
    torch.set_num_threads(1)
    trainer = recipe.trainer()
    trainer.share = share
    point_at(trainer.model, memory[0])
    sums = cut(memory[1], trainer.model)
    try:
        while True:
            loss = trainer.part(*pipe.recv())
            for p, into in zip(trainer.model.parameters(), sums, strict=True):
                into.zero_() if p.grad is None else into.copy_(p.grad)
            trainer.discard()
            pipe.send((float(loss), float(trainer.last["attributes"])))
    except (EOFError, KeyboardInterrupt):
        pass


class Replicas:
    """The other processes of a trainer, whose weights move to shared memory. Start them before its first step and
    after its weights are loaded; `close` ends them. data: where the trainer's bank and tokenizer lie."""

    def __init__(self, trainer: DiTTrainer, data: Path, processes: int, compile: bool = False):
        self.trainer, recipe = trainer, Recipe(trainer.cfg, data, trainer.o, compile)
        flat = torch.cat([p.detach().flatten() for p in trainer.model.parameters()]).share_memory_()
        point_at(trainer.model, flat)
        trainer.share, trainer.replicas = Share(0, processes), self
        context = torch.multiprocessing.get_context("spawn")
        self.pipes: list[Connection] = []
        self.sums: list[list[Tensor]] = []
        self.processes: list[BaseProcess] = []
        for index in range(1, processes):
            grads = torch.zeros_like(flat).share_memory_()
            here, there = context.Pipe()
            arguments = (recipe, Share(index, processes), (flat, grads), there)
            self.processes.append(context.Process(target=work, args=arguments, daemon=True))
            self.processes[-1].start()
            there.close()
            self.pipes.append(here)
            self.sums.append(cut(grads, trainer.model))

    def loss(self, step: int, fraction: float) -> Tensor:
        """Of the whole batch; its gradients are the trainer's."""
        try:
            for pipe in self.pipes:
                pipe.send((step, fraction))
            with fixed(1):
                total = self.trainer.part(step, fraction)
            for pipe, grads in zip(self.pipes, self.sums, strict=True):
                loss, attributes = pipe.recv()
                total = total + loss
                self.trainer.last["attributes"] = self.trainer.last["attributes"] + attributes
                for p, g in zip(self.trainer.model.parameters(), grads, strict=True):
                    p.grad = g.clone() if p.grad is None else p.grad.add_(g)
        except (EOFError, ConnectionError):
            message = "a process that shared the batches has ended; --resume goes on from the last state"
            raise ReplicaLost(message) from None
        return total

    def close(self) -> None:
        for pipe in self.pipes:
            pipe.close()
        for p in self.processes:
            p.join()
        self.trainer.share, self.trainer.replicas = Share(), None
