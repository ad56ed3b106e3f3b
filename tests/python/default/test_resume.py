"""Killing a training: the last checkpoint is whole, and going on equals never having stopped, bit for bit."""

import json
import os
import random
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import ROOT

from models.default import captions, tokenizer
from models.default.checkpoint import encoder_hash
from models.default.data_parallel import ReplicaLost, Replicas
from models.default.dataset import write_bank
from models.default.dit import DiTConfig, default_config
from models.default.loop import BadBatches, Budget, Run, Schedule
from models.default.state import ConfigMismatch, NotWritten, save_state
from models.default.train_dit import LATE, DiTOptions, DiTTrainer, Phase
from models.default.train_text import TextOptions, TextTrainer
from models.default.train_vae import VAEOptions, VAETrainer
from models.default.vae import VAEConfig

VAE = VAEConfig(enc=(8, 8, 8, 8), dec=(8, 8, 8, 8), latent_bound=5.0)
STEPS = 6


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory, atlas_path: Path) -> Path:
    root = tmp_path_factory.mktemp("data")
    for split, n in (("held", 2), ("train", 8)):
        write_bank(atlas_path, root, n, split, (5, 64), workers=1)
    (root / "atlas.npz").write_bytes(atlas_path.read_bytes())
    tokenizer.train_from_grammar(root / "tokenizer.model", lines=2000)
    return root


def config(tok: tokenizer.Tokenizer, **values: Any) -> DiTConfig:
    return default_config(
        "XXS", **{"depth": 2, "text_depth": 1, "vocab": len(tok), "classes": captions.CLASSES, **values}
    )


def latent_bank() -> dict[str, Any]:
    g, n = torch.Generator().manual_seed(0), 12
    return {
        "z": torch.randn(n, 2, 48, 2, 2, generator=g).bfloat16(),
        "cover": torch.zeros(n, 2, 2, 2, dtype=torch.uint8),
        "mean": torch.zeros(48),
        "std": torch.ones(48),
        "weight": torch.ones(48),
        "scenes": [captions.scene(random.Random(i)) for i in range(n)],
        "vae": "0123",
    }


def make(kind: str, data: Path, out: Path) -> Any:
    tok = tokenizer.Tokenizer(data / "tokenizer.model")
    if kind == "vae":
        out.mkdir(exist_ok=True)
        return VAETrainer(data, out, VAEOptions(batch=2, crop=32, frames=5, full=0.4), VAE)
    if kind == "text":
        return TextTrainer(config(tok), tok, TextOptions(batch=8))
    options = DiTOptions(phases=(Phase(0.5, 1, 4), Phase(1.0, 0, 2)), warm=2, validation=2)
    trainer = DiTTrainer(config(tok), latent_bank(), tok, options, "cpu")
    trainer.start(None)
    return trainer


def run(trainer: Any, out: Path, stop_at: int | None = None) -> Run:
    r = Run(trainer, out, Budget(steps=STEPS), Schedule())
    r.schedule.stop = lambda: stop_at is not None and r.step >= stop_at
    r.resume()
    r.train()
    return r


def equal(a: Any, b: Any, where: str = "") -> None:
    if isinstance(a, torch.Tensor):
        assert torch.equal(a, b), where
    elif isinstance(a, dict):
        assert a.keys() == b.keys(), where
        for k in a:
            equal(a[k], b[k], f"{where}.{k}")
    elif isinstance(a, list):
        for i, (x, y) in enumerate(zip(a, b, strict=True)):
            equal(x, y, f"{where}[{i}]")
    else:
        assert a == b, where


@pytest.mark.parametrize("kind", ["vae", "text", "dit"])
def test_resume_stopped_run_equals_uninterrupted_bit_for_bit(kind: str, data: Path, tmp_path: Path) -> None:
    whole = run(make(kind, data, tmp_path / "a"), tmp_path / "a")
    run(make(kind, data, tmp_path / "b"), tmp_path / "b", stop_at=3)
    parts = run(make(kind, data, tmp_path / "b"), tmp_path / "b")
    assert (whole.step, whole.samples, whole.mean) == (parts.step, parts.samples, parts.mean)
    equal(whole.trainer.state(), parts.trainer.state())


def train(out: Path, data: Path) -> subprocess.Popen[bytes]:
    flags = ["--stage", "vae", "--steps", "6", "--save-every", "0", "--size", "64", "--frames", "5", "--clips", "8"]
    command = [sys.executable, "-m", "models.default.train", "--out", str(out), "--data", str(data), "--resume", *flags]
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(command, cwd=ROOT, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def test_resume_after_sigkill_equals_uninterrupted(data: Path, tmp_path: Path) -> None:
    p = train(tmp_path / "b", data)
    state = tmp_path / "b" / "vae" / "state.pt"
    deadline = time.monotonic() + 120
    while not state.exists() and time.monotonic() < deadline and p.poll() is None:
        time.sleep(0.002)
    p.send_signal(signal.SIGKILL)
    p.wait()
    survived = torch.load(state, weights_only=True)["step"]
    assert 1 <= survived <= 6
    for out in ("b", "a"):
        p = train(tmp_path / out, data)
        assert p.wait(timeout=120) == 0, p.stderr.read()
    a, b = (torch.load(tmp_path / k / "vae" / "state.pt", weights_only=True) for k in "ab")
    assert a["step"] == b["step"] == 6
    equal(a["trainer"], b["trainer"])


def test_resume_other_configuration_is_refused(data: Path, tmp_path: Path) -> None:
    run(make("text", data, tmp_path), tmp_path)
    tok = tokenizer.Tokenizer(data / "tokenizer.model")
    other = TextTrainer(config(tok, text_depth=2), tok, TextOptions())
    with pytest.raises(ConfigMismatch, match="text_depth: 1 there, 2 here"):
        run(other, tmp_path)


def test_resume_latents_of_another_autoencoder_are_refused(data: Path, tmp_path: Path) -> None:
    run(make("dit", data, tmp_path), tmp_path)
    tok = tokenizer.Tokenizer(data / "tokenizer.model")
    other = DiTTrainer(config(tok), {**latent_bank(), "vae": "4567"}, tok, DiTOptions(validation=2), "cpu")
    with pytest.raises(ConfigMismatch, match="vae: 0123 there, 4567 here"):
        run(other, tmp_path)


def test_decoder_only_training_keeps_the_latents(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "vae"
    run(make("vae", data, out), out)
    before, weights = encoder_hash(out / "vae.safetensors"), (out / "vae.safetensors").read_bytes()
    options = VAEOptions(batch=2, crop=32, frames=5, decoder_only=True)
    r = Run(VAETrainer(data, out, options, VAE), out, Budget(steps=STEPS + 3), Schedule())
    assert r.resume() and r.train()
    assert encoder_hash(out / "vae.safetensors") == before
    assert (out / "vae.safetensors").read_bytes() != weights


def test_bank_with_a_held_out_combination_is_refused(data: Path) -> None:
    tok = tokenizer.Tokenizer(data / "tokenizer.model")
    bank = latent_bank()
    bank["scenes"][3] = captions.scene(random.Random(0), "held")
    with pytest.raises(ValueError, match=r"held_out.json"):
        DiTTrainer(config(tok), bank, tok, DiTOptions(validation=2), "cpu")


def drawn_share(data: Path, scenes: list[captions.Scene], rare: tuple[str, int]) -> float:
    """Share of 2 000 drawn clips whose class of a field is this one; clips of pairs are drawn three times as often."""
    tok, bank = tokenizer.Tokenizer(data / "tokenizer.model"), latent_bank()
    bank["scenes"] = scenes
    options = DiTOptions(validation=2, pairs=3.0, empty=0.0)
    classes = DiTTrainer(config(tok), bank, tok, options, "cpu").draw(2000, 0, torch.Generator().manual_seed(0))[3]
    column = classes[:, captions.FIELDS.index(rare[0])]
    # Some captions do not mention the field.
    return (column == rare[1]).sum().item() / (column < len(captions.NAMES[rare[0]])).sum().item()


def test_clips_of_two_subjects_and_of_late_motions_are_drawn_more_often(data: Path) -> None:
    def wanted(often: float) -> Any:
        return pytest.approx(3 * often / (3 * often + 7), abs=0.04)  # 3 of the 10 clips that are trained on

    plain: captions.Scene = {
        **captions.scene(random.Random(0), pairs=0.0),
        "motion": "rising",
        "subject": "cat",
        "background": "hills",
    }
    rest = [plain] * 9
    pair = {**plain, "subject": "fox", "second": "duck", "relation": "left of"}
    fox = captions.NAMES["subject"].index("fox")
    assert drawn_share(data, [pair] * 3 + rest, ("subject", fox)) == wanted(3)
    for motion, often in LATE.items():
        late = captions.NAMES["motion"].index(motion)
        assert drawn_share(data, [{**plain, "motion": motion}] * 3 + rest, ("motion", late)) == wanted(often)


def shared(data: Path, out: Path) -> Path:
    """Where replicas find what `make` gives the trainer of a transformer."""
    torch.save(latent_bank(), out / "latents.pt")
    (out / "tokenizer.model").write_bytes((data / "tokenizer.model").read_bytes())
    return out


def test_two_processes_train_as_one(data: Path, tmp_path: Path) -> None:
    """The gradients of two shares sum up to those of the whole batch, step by step, and repeat bit for bit."""
    results = []
    for processes in (1, 2, 2):
        trainer = make("dit", data, tmp_path)
        if processes > 1:
            Replicas(trainer, shared(data, tmp_path), processes)
        losses = []
        for step in range(3):
            losses.append(float(trainer.loss(step, step / 3)))
            grads = [p.grad.clone() for p in trainer.model.parameters()]
            trainer.update(step, step / 3)
        results.append((losses, grads, float(trainer.last["attributes"])))
        if trainer.replicas:
            trainer.replicas.close()
    (one, first, read), (two, second, same), (again, third, _) = results
    assert one == pytest.approx(two, rel=1e-2) and read == pytest.approx(same, rel=1e-2)
    whole, halves = (torch.cat([g.flatten() for g in v]) for v in (first, second))
    assert torch.nn.functional.cosine_similarity(whole, halves, 0) > 0.99
    assert two == again and all(torch.equal(a, b) for a, b in zip(second, third, strict=True))


def test_a_lost_replica_stops_the_training(data: Path, tmp_path: Path) -> None:
    trainer = make("dit", data, tmp_path)
    replicas = Replicas(trainer, shared(data, tmp_path), 2)
    trainer.loss(0, 0.0)
    for p in replicas.processes:
        p.kill()
        p.join()
    with pytest.raises(ReplicaLost, match="--resume goes on"):
        trainer.loss(1, 0.1)


def test_text_encoder_goes_on_reading_beside_the_clips(data: Path, tmp_path: Path) -> None:
    """A batch whose captions are all empty still teaches it the words."""
    tok, learned = tokenizer.Tokenizer(data / "tokenizer.model"), {}
    for read in (0, 16):
        options = DiTOptions(phases=(Phase(1.0, 0, 2),), validation=2, read=read, empty=1.0)
        trainer = DiTTrainer(config(tok), latent_bank(), tok, options, "cpu")
        trainer.loss(0, 0.5)
        rows = trainer.model.text.emb.weight.grad.abs().sum(-1) > 0
        learned[read] = int(rows.sum())
        assert 0 <= trainer.evaluate()["order"] <= 1
    assert learned[0] <= 2 < 20 < learned[16]


def test_error_under_the_sprite_is_weighted_by_its_cover(data: Path) -> None:
    tok, bank = tokenizer.Tokenizer(data / "tokenizer.model"), latent_bank()
    bank["cover"][:] = 255
    figures = DiTTrainer(config(tok), bank, tok, DiTOptions(validation=2), "cpu").evaluate()
    assert figures["sprite"] == pytest.approx(figures["validation"])


def poisoned(trainer: Any, steps: set[int]) -> Callable[[int, float], torch.Tensor]:
    good = trainer.loss

    def loss(step: int, fraction: float) -> torch.Tensor:
        value = good(step, fraction)
        if step in steps:
            for p in trainer.model.parameters():
                p.grad = torch.full_like(p, float("nan"))
            return value * float("nan")
        return value

    return loss


@pytest.mark.parametrize("watch", [0, 2, 50], ids=["host", "device", "device, once"])
def test_nan_batch_is_skipped_and_counted(watch: int, data: Path, tmp_path: Path) -> None:
    trainer = make("text", data, tmp_path)
    trainer.loss = poisoned(trainer, {1, 4})
    r = Run(trainer, tmp_path, Budget(steps=STEPS), Schedule(watch=watch))
    r.train()
    assert r.bad == 2 and r.step == STEPS
    assert all(p.isfinite().all() for p in trainer.model.parameters())
    assert json.loads((tmp_path / "log.jsonl").read_text().splitlines()[-1])["bad"] == 2


@pytest.mark.parametrize("watch", [0, 2])
def test_nan_third_batch_stops_the_run_with_the_last_good_state(watch: int, data: Path, tmp_path: Path) -> None:
    trainer = make("text", data, tmp_path)
    trainer.loss = poisoned(trainer, {1, 2, 3})
    r = Run(trainer, tmp_path, Budget(steps=STEPS), Schedule(save_every=0.0, watch=watch))
    with pytest.raises(BadBatches, match="holds the last good state"):
        r.train()
    state = torch.load(tmp_path / "state.pt", weights_only=True)
    assert all(v.isfinite().all() for v in state["trainer"]["model"].values())


@pytest.mark.parametrize("watch", [0, 3])
def test_spike_is_skipped_and_counted(watch: int, data: Path, tmp_path: Path) -> None:
    """Its gradients must not reach the weights: they are huge here."""
    trainer = make("text", data, tmp_path)
    good = trainer.loss

    def loss(step: int, fraction: float) -> torch.Tensor:
        value = good(step, fraction)
        for p in trainer.model.parameters():
            p.grad = torch.full_like(p, 1e9) if step == 4 else torch.zeros_like(p)
        return value * (10 if step == 4 else 1)

    trainer.loss = loss
    before = {k: v.clone() for k, v in trainer.model.state_dict().items()}
    r = Run(trainer, tmp_path, Budget(steps=STEPS), Schedule(spike=3.0, watch=watch))
    r.train()
    assert (r.spikes, r.bad) == (1, 0) and r.mean < 10
    equal(trainer.model.state_dict(), before)


def test_watching_on_the_device_trains_the_same(data: Path, tmp_path: Path) -> None:
    states = []
    for watch in (0, 4):
        trainer = make("dit", data, tmp_path)
        r = Run(trainer, tmp_path / str(watch), Budget(steps=STEPS), Schedule(spike=3.0, watch=watch))
        r.train()
        states.append((r.mean, trainer.state()))
    assert states[0][0] == pytest.approx(states[1][0])
    equal(states[0][1], states[1][1])


@contextmanager
def file_size_limit(size: int) -> Iterator[None]:
    """Writing past it fails as on a full disk (Python ignores the signal that comes with it)."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_full_disk_keeps_the_last_state_and_the_run_goes_on_from_it(data: Path, tmp_path: Path) -> None:
    run(make("text", data, tmp_path), tmp_path, stop_at=2)
    size = (tmp_path / "state.pt").stat().st_size
    later = Run(make("text", data, tmp_path), tmp_path, Budget(steps=STEPS), Schedule(save_every=0.0))
    assert later.resume()
    with file_size_limit(size // 2), pytest.raises(NotWritten, match="last state is still whole"):
        later.train()
    assert [p.name for p in tmp_path.iterdir()] == ["state.pt"], "half a file was left"
    again = run(make("text", data, tmp_path), tmp_path)
    whole = run(make("text", data, tmp_path / "whole"), tmp_path / "whole")
    equal(again.trainer.state(), whole.trainer.state())


def test_full_disk_without_an_earlier_state_says_so(tmp_path: Path) -> None:
    with file_size_limit(1000), pytest.raises(NotWritten, match="no earlier state is there"):
        save_state(tmp_path / "state.pt", {"weights": torch.zeros(10_000)})
    assert not list(tmp_path.iterdir())


def test_other_configuration_is_one_line_for_the_user(data: Path, tmp_path: Path) -> None:
    run(make("vae", data, tmp_path / "vae"), tmp_path / "vae", stop_at=1)
    p = train(tmp_path, data)
    assert p.wait(timeout=120) == 1
    error = p.stderr.read().decode()
    assert error.startswith("error: ") and len(error.splitlines()) == 1
    assert "dec: (8, 8, 8, 8) there, (64, 48, 32, 24) here" in error


def test_budget_in_minutes_counts_earlier_slices() -> None:
    b = Budget(minutes=1.0, spent=45.0)
    assert 0.74 < b.fraction(10**6) < 0.8
    assert np.isclose(Budget(steps=4).fraction(1), 0.25)
