"""The goldens of caching methods regenerate, and their sampling loop is that of the plain golden runs."""

from pathlib import Path

import pytest
import torch
from safetensors import safe_open

from models.export import golden
from models.reference import caches
from models.reference.cache_cases import Case, cases

GOLDEN = Path(__file__).resolve().parents[3] / "tests/data/golden/caches.safetensors"


@pytest.fixture(scope="module")
def inputs() -> caches.Inputs:
    """The tiny Wan model with the bundle's weights."""
    return caches.Inputs.read()


def test_cache_runs_regenerate(inputs: caches.Inputs) -> None:
    tensors, metadata = caches.goldens(inputs)
    with safe_open(GOLDEN, "pt") as file:
        assert file.metadata() == metadata
        assert set(file.keys()) == set(tensors)
        for name, fresh in tensors.items():
            committed = file.get_tensor(name)
            # Another processor sums in another order.
            assert (fresh - committed).abs().max() <= 1e-5 * committed.abs().max(), name


def test_every_case_changes_the_result(inputs: caches.Inputs) -> None:
    plain, _ = caches.run(inputs, Case("none", lambda model, theirs, clock: None, {}, {}))
    with safe_open(GOLDEN, "pt") as file:
        for name in cases():
            assert (file.get_tensor(f"{name}.latents") - plain).abs().max() > 0.01 * plain.abs().max(), name


@pytest.mark.parametrize("batched", [False, True])
def test_run_without_a_cache_is_the_plain_golden_run(inputs: caches.Inputs, batched: bool) -> None:
    plain = golden.sample(
        lambda x, t, y: inputs.model(x, t, y, return_dict=False)[0],
        caches.RUN,
        inputs.noise,
        inputs.texts["cond"],
        inputs.texts["uncond"],
    )
    latents, decisions = caches.run(inputs, Case("none", lambda model, theirs, clock: None, {}, {}, batched))
    assert torch.allclose(latents, plain, rtol=0, atol=1e-5 * float(plain.abs().max()))
    assert all(steps == ["ccc ccc ccc"] * caches.RUN.steps for steps in decisions.values())
