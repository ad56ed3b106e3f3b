"""Steps of the GPU tier on tensors that pretend to be on a GPU: PyTorch refuses to mix their devices and to read
their values, so a step that passes neither mixes devices nor waits for one. Gradients are put in by hand, since
autograd needs a real device."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode

from models.default import captions, sheet, tokenizer
from models.default.gpu import kit, samples
from models.default.gpu.probe import Probe, dit_config
from models.default.gpu.settings import FULL
from models.default.gpu.trainers import FedTextTrainer
from models.default.gpu.unigram import Unigram
from models.default.loop import Budget, Run, Schedule, Trainer, Watch
from models.default.vae import VAE

pytestmark = pytest.mark.filterwarnings("ignore:CUDA is not available")


class Generator:
    """A device's random numbers; only fake ones are drawn."""

    def __init__(self, device: str = "cpu"):
        self.device = torch.device(device)

    def manual_seed(self, _seed: int) -> "Generator":
        return self


def plain(draw: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *a, **k: draw(*a, **{n: v for n, v in k.items() if n != "generator"})


def moved(self: nn.Module, device: str | None = None, **_: Any) -> nn.Module:
    """Module.to, which cannot exchange fake parameters in place."""
    for m in self.modules() if device else ():
        for name, p in m._parameters.items():
            m._parameters[name] = p if p is None else nn.Parameter(p.detach().to(device))
        for name, b in m._buffers.items():
            m._buffers[name] = b if b is None else b.to(device)
    return self


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> Unigram:
    root = tmp_path_factory.mktemp("words")
    tokenizer.train_from_grammar(root / "tokenizer.model", lines=500)
    kit.write_vocabulary(root / "tokenizer.model", root / "vocabulary.json")
    return Unigram(root / "vocabulary.json")


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(torch, "Generator", Generator)
    for name in ("rand", "randn", "randint"):
        monkeypatch.setattr(torch, name, plain(getattr(torch, name)))
    monkeypatch.setattr(nn.Module, "to", moved)
    monkeypatch.setattr(torch.Tensor, "backward", lambda *_: None)
    monkeypatch.setattr(FakeTensor, "numpy", lambda t: np.zeros(tuple(t.shape), np.int16), raising=False)
    with FakeTensorMode(allow_non_fake_inputs=True):
        yield


def steps(trainer: Trainer, out: Path) -> None:
    """Two as in Run with Schedule.watch, up to the look at the counts."""
    watch = Watch(Run(trainer, out, Budget(steps=2), Schedule(spike=3.0)))
    for step in range(2):
        loss = trainer.loss(step, 0.1)
        for p in trainer.model.parameters():
            p.grad = torch.zeros_like(p)
        watch.mute(loss)
        trainer.update(step, 0.1)
        assert loss.device.type == watch.mean.device.type == "cuda"
        assert all(v.device.type == "cuda" for v in trainer.last.values() if isinstance(v, torch.Tensor))


def test_device_autoencoder_step_stays_on_the_device(words: Unigram, fake: None, tmp_path: Path) -> None:
    steps(Probe(FULL, words, "cuda", print).vae(4), tmp_path)


def test_device_text_step_stays_on_the_device(words: Unigram, fake: None, tmp_path: Path) -> None:
    trainer = FedTextTrainer(dit_config(FULL, "S", words), words, FULL.text_options(), None, "cuda")  # type: ignore[arg-type]
    trainer.batches = iter([(np.zeros((4, 32), np.int16), np.zeros((4, len(captions.FIELDS)), np.int16))] * 2)
    steps(trainer, tmp_path)


def test_device_transformer_step_and_sheet_stay_on_the_device(
    words: Unigram, fake: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = Probe(FULL, words, "cuda", print).dit("S", 2)
    sizes = sorted(len(group) for group in trainer.optimisers.muon.groups)
    assert sizes[-1] >= 3 * 12, "matrices of one shape are orthogonalised together on a GPU"
    steps(trainer, tmp_path)
    drawn: list[Any] = []
    monkeypatch.setattr(samples, "write_sheet", lambda clips, _path: drawn.extend(clips))
    samples.draw_sheet(trainer, VAE(FULL.vae).to("cuda"), replace(FULL, sampler_steps=1), tmp_path)
    assert len(drawn) == len(sheet.PROMPTS) and drawn[0].shape == (17, 3, 128, 128)
