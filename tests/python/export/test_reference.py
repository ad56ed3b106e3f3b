"""The reference values regenerate."""

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from models.reference import perceptual, quality, schedulers

GOLDEN = Path(__file__).resolve().parents[3] / "tests/data/golden"


def test_schedulers_regenerate() -> None:
    committed, fresh = json.loads((GOLDEN / "schedulers.json").read_text()), schedulers.goldens()
    assert committed["made_with"] == fresh["made_with"]
    assert len(committed["cases"]) == len(fresh["cases"])
    for a, b in zip(committed["cases"], fresh["cases"], strict=True):
        assert {k: a[k] for k in ("class", "config", "call", "steps")} == {
            k: b[k] for k in ("class", "config", "call", "steps")
        }
        np.testing.assert_allclose(a["sigmas"], b["sigmas"], rtol=0, atol=1e-7)
        np.testing.assert_allclose(a["timesteps"], b["timesteps"], rtol=0, atol=1e-3)
        np.testing.assert_allclose(a["states"], b["states"], rtol=0, atol=a["tolerance"])


def test_euler_states_follow_from_the_documented_velocity() -> None:
    case = json.loads((GOLDEN / "schedulers.json").read_text())["cases"][0]
    x, s = np.array(case["x0"]), case["sigmas"]
    for i, state in enumerate(case["states"]):
        x = x + (s[i + 1] - s[i]) * (0.7 * np.sin(1.3 * x + 2 * s[i]) + 0.3 * x * np.cos(s[i]))
        np.testing.assert_allclose(x, state, rtol=0, atol=case["tolerance"])


def test_quality_regenerates() -> None:
    committed, clips = json.loads((GOLDEN / "quality.json").read_text()), load_file(GOLDEN / "quality.safetensors")
    for name, (a, b) in quality.cases().items():
        np.testing.assert_array_equal(clips[f"{name}.a"], a)
        np.testing.assert_array_equal(clips[f"{name}.b"], b)
        fresh = quality.measure(a, b)
        for metric, tolerance in committed["tolerance"].items():
            expected = committed["cases"][name][metric]
            assert fresh[metric]["frames"] == pytest.approx(expected["frames"], abs=tolerance)


def test_psnr_follows_from_its_definition() -> None:
    a, b = quality.cases()["one_pixel"]
    error = (1 / 255) ** 2 / a[0].size
    assert quality.measure(a, b)["psnr"]["mean"] == pytest.approx(-10 * np.log10(error))


def test_perceptual_values_regenerate() -> None:
    golden, clips = json.loads((GOLDEN / "perceptual.json").read_text()), load_file(GOLDEN / "perceptual.safetensors")
    assert len(golden["cases"]) == len(clips) / 2
    for name, expected in golden["cases"].items():
        a, b = clips[f"{name}.a"], clips[f"{name}.b"]
        fresh = perceptual.measure_latents(a, b) if a.ndim == 5 else perceptual.measure(a, b, None)
        assert set(expected) - set(fresh) <= {"lpips"}
        for metric, values in fresh.items():
            assert values == pytest.approx(expected[metric], abs=golden["tolerance"][metric]), (name, metric)


def test_perceptual_clips_regenerate() -> None:
    clips = load_file(GOLDEN / "perceptual.safetensors")
    for name, pair in {**perceptual.cases(), **perceptual.latent_cases()}.items():
        if name.startswith("default_model"):  # the sheet they were cut from changes with the weights
            continue
        for side, clip in zip("ab", pair, strict=True):
            np.testing.assert_array_equal(clips[f"{name}.{side}"], clip)
