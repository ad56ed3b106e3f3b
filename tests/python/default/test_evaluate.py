"""The evaluation: each figure on data whose answer is known, and the whole of it on a rehearsal."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from models.default import captions, checkpoint
from models.default.captions import FIELDS
from models.default.classifier import targets
from models.default.evaluate import PARTS, main
from models.default.evaluation import pictures, pixels, shipped, typed
from models.default.evaluation.memorisation import nearest
from models.default.evaluation.profile import is_u
from models.default.evaluation.prompts import Arm, draw, interval, make_arm, per_motion, tally
from models.default.evaluation.solvers import multistep
from models.default.evaluation.targets import targets as judged
from models.default.phrases import HELD_PHRASES, MOTIONS
from models.default.sample import Sampler
from models.export import default as exporter


def clip(seed: int, *shape: int) -> torch.Tensor:
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))


def test_gradient_energy_of_a_ramp_is_its_slope_squared() -> None:
    ramp = (torch.arange(64) * 2).to(torch.uint8).expand(1, 2, 3, 64, 64)
    assert pixels.gradient_energy(ramp) == pytest.approx((2 / 255) ** 2, rel=1e-5)


def test_blocking_sees_the_grid_and_nothing_else() -> None:
    noise = clip(0, 2, 3, 3, 128, 128)
    assert pixels.blocking(noise) == pytest.approx(1, abs=0.03)
    flat = clip(1, 2, 3, 3, 8, 8).repeat_interleave(16, -1).repeat_interleave(16, -2)
    assert pixels.blocking(flat // 2 + noise // 8) > 5
    shifted = flat.roll((5, 5), (-1, -2))
    assert pixels.blocking(shifted // 2 + noise // 8) < 1


@pytest.mark.parametrize(
    ("change", "u"),
    [
        ([0.10, 0.05, 0.04, 0.05, 0.10], True),
        ([0.10, 0.09, 0.08, 0.09, 0.10], False),  # too flat
        ([0.10, 0.05, 0.04, 0.03, 0.02], False),  # no rise at the end
        ([0.02, 0.03, 0.04, 0.05, 0.10], False),  # no fall at the start
    ],
)
def test_u_shape_needs_two_ends(change: list[float], u: bool) -> None:
    assert is_u(change) is u


def test_interval_is_wilsons() -> None:
    # statsmodels 0.14: proportion_confint(9, 10, method="wilson")
    assert interval(9, 10) == pytest.approx((0.5958, 0.9821), abs=2e-3)
    assert interval(0, 5)[0] == pytest.approx(0, abs=1e-9)


def test_arms_hold_what_they_are_named_for() -> None:
    seen, held, worded = (make_arm(name, 40) for name in ("seen", "held", "paraphrase"))
    assert not any(captions.held_out(s) for s in seen.scenes + worded.scenes)
    assert all(captions.held_out(s) for s in held.scenes)
    for m in MOTIONS:
        assert sum(s["motion"] == m for s in held.scenes) == 4
    for s, prompt, said in zip(worded.scenes, worded.prompts, worded.said, strict=True):
        assert any(p in prompt for p in HELD_PHRASES["motion"][s["motion"]]), prompt
        assert {"subject", "motion", "background", "light", "camera"} <= set(said)


def test_tally_counts_what_was_said() -> None:
    scenes = draw("train", 60, "tally")
    arm = make_arm("seen", 60)
    arm = Arm(scenes, arm.prompts, [["subject", "motion"] if s["second"] is None else ["second"] for s in scenes])
    read = torch.tensor([targets(s) for s in scenes])
    pairs = sum(s["second"] is not None for s in scenes)
    assert 0 < pairs < 60
    right = tally(arm, read)
    assert (
        right["subject"] == [60 - pairs] * 2 and right["second"] == [pairs] * 2 and right["alone"] == [60 - pairs] * 2
    )
    assert "light" not in right
    read[:, FIELDS.index("motion")] = 0
    assert sum(v[0] for v in per_motion({"a": arm}, {"a": read}).values()) == sum(
        s["motion"] == "left to right" for s in scenes
    )


@pytest.mark.parametrize("name", ["dpm++2m", "unipc"])
def test_multistep_solver_beats_euler_on_a_curved_field(name: str) -> None:
    def velocity(x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        return 0.7 * torch.sin(1.3 * x + 2 * t) + 0.3 * x * torch.cos(t)

    def euler(x: torch.Tensor, s: Sampler) -> torch.Tensor:
        ts = s.times()
        for i in range(s.steps):
            x = x + (ts[i + 1] - ts[i]) * velocity(x, ts[i])
        return x

    start, s = torch.linspace(-2, 2, 9).reshape(1, 3, 3), Sampler(steps=64)
    exact = euler(start, replace(s, steps=4_000))
    errors = [(v - exact).abs().max().item() for v in (multistep(name, velocity, start, s), euler(start, s))]
    assert errors[0] < 0.3 * errors[1]


@pytest.mark.parametrize("name", ["dpm++2m", "unipc"])
def test_multistep_solver_of_many_steps_keeps_its_place(name: str) -> None:
    """Of 300 shifted steps several round to one timestep, by which diffusers would look the place up."""
    start = torch.linspace(-2, 2, 9).reshape(1, 3, 3)
    end = multistep(name, lambda x, t: torch.ones_like(x), start, Sampler(steps=300, shift=5.0))
    assert (end - (start - 1)).abs().max() < 1e-3


def test_nearest_finds_a_copy() -> None:
    g = torch.Generator().manual_seed(0)
    z = torch.randn(40, 2, 6, 2, 2, generator=g)
    bank: dict[str, Any] = {
        "z": z * 3 + 1,
        "mean": torch.ones(6),
        "std": torch.full((6,), 3.0),
        "weight": torch.rand(6),
    }
    distance, seed = nearest(torch.stack([z[7], z[7] + 0.5]), bank)
    assert seed[:, 0].tolist() == [7, 7]
    assert distance[0, 0] == pytest.approx(0, abs=1e-5) and distance[1, 0] == pytest.approx(0.5, abs=1e-4)
    assert distance[0, 1] > 0.5


def test_typed_counts_what_a_prompt_mentions(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [
        {"prompt": "fox runs", "subject": ["fox"], "motion": ["left to right", "right to left"]},
        {"prompt": "cat at night", "subject": ["cat"], "light": ["night"]},
    ]
    fox, cat = (captions.NAMES["subject"].index(n) for n in ("fox", "cat"))
    none = [len(captions.NAMES[f]) for f in FIELDS]  # the class 'not mentioned'
    read = torch.tensor([[fox, 1, 3, *none[3:]], [cat, *none[1:]]])
    monkeypatch.setattr(typed, "predict", lambda text, tokenizer, texts: read[: len(texts)])
    found = typed.typed(torch.nn.Identity(), lambda texts: torch.zeros(1), rows)
    assert found["whole"] == [1, 2]
    assert {f: v for f, v in found["said"].items() if v[1]} == {"subject": [2, 2], "motion": [1, 1], "light": [0, 1]}
    assert found["silent"]["motion"] == [1, 1] and found["silent"]["background"] == [1, 2]


def test_typed_prompts_name_classes_that_exist(tmp_path: Path) -> None:
    rows = [row for rows in typed.load().values() for row in rows]
    assert len({r["prompt"] for r in rows}) == len(rows) >= 190
    for field in FIELDS:
        assert {c for r in rows for c in r.get(field, [])} == set(captions.NAMES[field]) or field == "second", field
    file = tmp_path / "typed.json"
    file.write_text('{"a": [{"prompt": "a unicorn", "subject": ["unicorn"]}]}')
    with pytest.raises(ValueError, match="subject has no class unicorn"):
        typed.load(file)
    file.write_text('{"a": [{"prompt": "a fox", "colour": []}]}')
    with pytest.raises(ValueError, match="there is no field colour"):
        typed.load(file)


def test_pictures_shrink_to_their_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    p = pictures.Pictures(["a fox in the snow"] * 5, clip(0, 5, 3, 3, 32, 32), [(clip(1, 3, 3, 32, 32),) * 2])
    assert pictures.write(tmp_path, p) == 1.0
    size = sum(f.stat().st_size for f in tmp_path.iterdir())
    monkeypatch.setattr(pictures, "MAX_BYTES", int(size * 0.8))
    assert pictures.write(tmp_path, p) < 1.0
    assert sum(f.stat().st_size for f in tmp_path.iterdir()) <= size * 0.8
    monkeypatch.setattr(pictures, "MAX_BYTES", 1000)
    with pytest.raises(ValueError, match="--prompts"):
        pictures.write(tmp_path, p)


def test_checkpoint_of_other_classes_is_refused(chain: Path, tmp_path: Path) -> None:
    copy = tmp_path / "checkpoint"
    shutil.copytree(chain / "checkpoint", copy)
    config = json.loads((copy / "config.json").read_text())
    config["names"]["subject"] = config["names"]["subject"][1:]
    (copy / "config.json").write_text(json.dumps(config))
    with pytest.raises(SystemExit, match=r"classes of subject are not .* BWCACHE_SUBJECTS"):
        main(["--training", str(chain), "--checkpoint", str(copy), "--only", "text"])


def test_bundle_of_other_weights_is_refused(chain: Path, tmp_path: Path) -> None:
    model = checkpoint.load(chain / "checkpoint")
    (tmp_path / "weights").mkdir()
    tensors = exporter.weights(model)
    save_file({k: v.contiguous() for k, v in tensors.items()}, tmp_path / "weights" / "model.safetensors")
    manifest = {"weights": [{"file": "weights/model.safetensors", "sha256": "0123"}]}
    (tmp_path / "model.json").write_text(json.dumps(manifest))
    assert shipped.weights_hash(tmp_path, model) == "0123"
    with torch.no_grad():
        model.dit.out.weight.add_(1)
    with pytest.raises(ValueError, match=r"out\.weight and 0 more differ"):
        shipped.weights_hash(tmp_path, model)
    with pytest.raises(ValueError, match="holds no bundle"):
        shipped.weights_hash(tmp_path / "weights", model)


def test_evaluation_of_a_rehearsal_writes_figures_and_card(chain: Path, tmp_path: Path) -> None:
    figures_path = tmp_path / "figures.json"
    main(["--training", str(chain), "--quick", "--card", str(tmp_path), "--out", str(figures_path)])
    figures = json.loads(figures_path.read_text())
    assert {*PARTS, "weights", "generation"} <= set(figures)
    assert figures["solvers"]["profile"]["blocks"] == 4 and len(figures["solvers"]["profile"]["per_step"]) == 29
    assert figures["codec"]["latents"] == {**figures["codec"]["latents"], "clips": 16, "outliers": 0}
    card = (tmp_path / "MODEL_CARD.md").read_text()
    assert figures["weights"]["dit.safetensors"] in card and "--steps 20" in card
    assert all(f"of {len(rows)}) of the {name} set" in card for name, rows in typed.load().items())
    assert "| prompts as typed |" in card
    assert all((tmp_path / "card" / f"{name}.png").stat().st_size > 500 for name in ("held_out", "nearest"))
    figures["solvers"]["euler"] = {16: 41.0}
    met = {t.name: t.met for t in judged(figures, "cpu")}
    assert met["latent outliers"] and not met["best solver at 16 steps"]
    assert not met["autoencoder, held-out clips"] and "held-out combinations" in met


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--only", "codec", "--card", "x"], "--card needs every part"),
        (["--bundle", "x"], "give --card"),
        (["--training", "nowhere"], "not there: nowhere/checkpoint/config.json"),
    ],
)
def test_evaluation_refused_says_why(flags: list[str], message: str) -> None:
    with pytest.raises(SystemExit, match=message):
        main(flags)
