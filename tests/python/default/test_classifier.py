"""The classifier: its labels follow the picture through mirroring and reversal, its training resumes bit for bit,
and a classifier of other classes is refused."""

import json
import random
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import ROOT
from torch import Tensor

from models.default import captions, classifier, classifier_bank
from models.default.captions import FIELDS, NAMES, Scene
from models.default.classifier import ClassifierConfig, VideoClassifier, targets
from models.default.classifier_bank import ClassifierBank, Request
from models.default.dataset import Atlas, Clip, render
from models.default.loop import Budget, Run, Schedule
from models.default.train_classifier import ClassifierOptions, ClassifierTrainer, mirrored, played_backwards
from models.default.train_vae import VAEOptions, VAETrainer
from models.default.vae import VAEConfig

SMALL = ClassifierConfig(frames=5, size=32, widths=(8, 16, 16), depth=1, heads=2)
OPTIONS = ClassifierOptions(batch=4)
STEPS = 6
PLAIN: Scene = {
    "subject": "fox",
    "motion": "still",
    "background": "meadow",
    "light": "day",
    "camera": "static",
    "weather": "clear",
    "second": None,
    "relation": None,
}


@pytest.fixture(scope="module")
def vae(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrained autoencoder as its training leaves it."""
    root = tmp_path_factory.mktemp("vae")
    rng = np.random.default_rng(0)
    for kind, shape in (("clips", (8, 5, 3, 32, 32)), ("cover", (8, 5, 32, 32))):
        for split in ("train", "held"):
            np.save(root / f"{kind}_{split}.npy", rng.integers(0, 256, shape, dtype=np.uint8))
    config = VAEConfig(enc=(8, 8, 8, 8), dec=(8, 8, 8, 8), latent_bound=5.0)
    trainer = VAETrainer(root, root, VAEOptions(batch=2, crop=16), config)
    trainer.start(None)
    trainer.evaluate()
    return root


@pytest.fixture
def out(tmp_path: Path, atlas_path: Path, vae: Path) -> Path:
    for part in ("train", "held"):
        classifier_bank.build(tmp_path / "bank", atlas_path, vae, Request(part, 8, 4, (5, 32)))
    return tmp_path


def test_classifier_of_the_default_size_fits_and_traces() -> None:
    model = VideoClassifier(ClassifierConfig()).eval()
    assert 2 * sum(p.numel() for p in model.parameters()) <= 3_000_000
    g = torch.Generator().manual_seed(0)
    with torch.no_grad():
        traced = torch.jit.trace(model, torch.rand(1, 17, 3, 128, 128, generator=g))
        frames = torch.rand(2, 17, 3, 128, 128, generator=g)
        for a, b, field in zip(traced(frames), model(frames), FIELDS, strict=True):
            assert a.shape == (2, len(classifier.LABELS[field]))
            assert torch.allclose(a, b, atol=1e-5), field
    allowed = re.findall(r"BW_OPERATOR\((\w+), (\w+)\)", (ROOT / "src/torchscript/operator_allow_list.inc").read_text())
    used = {n.kind() for n in traced.inlined_graph.nodes() if n.kind().startswith("aten::")}
    assert used <= {f"{space}::{name}" for space, name in allowed}


def test_targets_of_two_still_subjects_do_not_depend_on_who_is_named_first() -> None:
    left = {**PLAIN, "second": "car", "relation": "left of"}
    right = {**PLAIN, "subject": "car", "second": "fox", "relation": "right of"}
    assert targets(left) == targets(right)
    moving = {**left, "motion": "bouncing"}
    assert targets(moving) != targets({**right, "motion": "bouncing"})
    assert targets(PLAIN)[-2:] == [len(NAMES["second"]), len(NAMES["relation"])]


def centre(clip: Clip) -> Tensor:
    """Middle of the sprite per frame, [T, 2] (x, y)."""
    w = clip.cover.float() / clip.cover.float().sum((1, 2), keepdim=True)
    axis = torch.arange(w.shape[-1]).float()
    return torch.stack([(w.sum(1) * axis).sum(1), (w.sum(2) * axis).sum(1)], 1)


@pytest.mark.parametrize("change", [mirrored, played_backwards])
@pytest.mark.parametrize("motion", ["left to right", "right to left", "rising", "falling", "growing", "shrinking"])
def test_changed_scene_names_what_the_changed_clip_shows(
    change: Callable[[Scene], Scene], motion: str, atlas_path: Path
) -> None:
    """Position and size of the sprite in the changed clip go the way of the changed label, as rendered."""
    atlas, s = Atlas(atlas_path), {**PLAIN, "motion": motion}
    clip, wanted = render(5, atlas, fixed=s, size=64), render(6, atlas, fixed=change(s), size=64)
    flipped = Clip(clip.frames, clip.cover.flip(-1) if change is mirrored else clip.cover.flip(0), s)

    def way(c: Clip) -> list[int]:
        middle, area = centre(c), (c.cover > 127).float().sum((1, 2))
        moved = [*(middle[-1] - middle[0]).tolist(), (area[-1] - area[0]).item() / 10]
        return [int(abs(v) > 4) * (1 if v > 0 else -1) for v in moved]

    assert way(flipped) == way(wanted) and any(way(wanted))


def test_changes_undo_themselves() -> None:
    rng = random.Random(0)
    for _ in range(200):
        s = captions.scene(rng, "any")
        assert mirrored(mirrored(s)) == s and played_backwards(played_backwards(s)) == s
    pair = {**PLAIN, "second": "car", "relation": "left of", "camera": "pan left"}
    assert mirrored(pair)["relation"] == "right of" and mirrored(pair)["camera"] == "pan right"
    assert played_backwards(pair)["relation"] == "left of" and played_backwards(pair)["camera"] == "pan right"


def test_bank_is_reused_until_the_request_changes(out: Path, atlas_path: Path, vae: Path) -> None:
    bank = ClassifierBank.open(out / "bank", "train")
    assert bank.rendered.shape == (8, 5, 3, 16, 16) and bank.copies.shape == (4, 5, 3, 16, 16)
    clip = render(classifier_bank.FIRST_SEED["train"] + 1, Atlas(atlas_path), "any", bank.scenes[1], 32, 5)
    assert np.array_equal(classifier_bank.pooled(clip.frames.float() / 255), bank.rendered[1])
    before = (out / "bank" / "train.json").stat().st_mtime_ns
    request = Request("train", 8, 4, (5, 32))
    classifier_bank.build(out / "bank", atlas_path, vae, request)
    assert (out / "bank" / "train.json").stat().st_mtime_ns == before
    classifier_bank.build(out / "bank", atlas_path, vae, replace(request, clips=6))
    assert len(ClassifierBank.open(out / "bank", "train").scenes) == 6


def test_bank_shows_pairs_and_held_out_combinations() -> None:
    scenes = [classifier_bank.draw_scene(k) for k in range(2000)]
    assert 0.3 < sum(s["second"] is not None for s in scenes) / 2000 < 0.4
    assert any(captions.held_out(s) for s in scenes)


def run(out: Path, stop_at: int | None = None) -> Run:
    trainer = ClassifierTrainer(out, OPTIONS, SMALL)
    it = Run(trainer, out, Budget(steps=STEPS), Schedule(log_every=2))
    it.resume()
    it.schedule.stop = lambda: it.step == stop_at
    it.train()
    return it


def test_training_resumed_equals_an_uninterrupted_one(out: Path) -> None:
    whole = run(out).trainer.state()["model"]
    report = json.loads((out / "classifier.json").read_text())
    assert set(report["accuracy"]["rendered"]) >= set(FIELDS) and report["held_out_clips"]["round_trip"] == 4
    (out / "state.pt").unlink()
    run(out, stop_at=STEPS // 2)
    again = run(out).trainer.state()["model"]
    assert all(torch.equal(again[k], v) for k, v in whole.items())


def test_training_learns_its_clips(out: Path) -> None:
    trainer = ClassifierTrainer(out, replace(OPTIONS, batch=8, reverse=0.0, shift=0), SMALL)
    first = float(trainer.loss(0, 0.0))
    for step in range(150):
        loss = trainer.loss(step, 0.3)
        trainer.update(step, 0.3)
    assert float(loss) < 0.5 * first


def test_classifier_saved_is_read_back_and_of_other_classes_refused(out: Path) -> None:
    run(out)
    judge = classifier.load(out)
    frames = torch.randint(0, 256, (3, 5, 3, 32, 32), dtype=torch.uint8)
    read = judge.classes(frames)
    assert read.shape == (3, len(FIELDS)) and set(judge.name(read[0].tolist())) == set(FIELDS)
    with pytest.raises(ValueError, match="clips of"):
        judge.classes(frames[:, :1])
    with pytest.raises(ValueError, match="--stage classifier"):
        classifier.load(out / "bank")
    about = json.loads((out / "classifier.json").read_text())
    about["names"]["light"] = ["day"]
    (out / "classifier.json").write_text(json.dumps(about))
    with pytest.raises(ValueError, match="other classes of light"):
        classifier.load(out)
