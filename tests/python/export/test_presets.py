"""Configs become cache presets of a bundle."""

import json
import shutil
import sys
from pathlib import Path

import pytest

from models.export import presets

TINY = Path(__file__).parents[3] / "tests/data/bundles/tiny-wan"


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    (tmp_path / "bundle").mkdir()
    shutil.copyfile(TINY / "model.json", tmp_path / "bundle" / "model.json")
    return tmp_path / "bundle"


def run(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> None:
    monkeypatch.setattr(sys, "argv", ["presets", *map(str, arguments)])
    assert presets.main() == 0


def test_config_becomes_a_preset_that_names_its_weights(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = (bundle / "model.json").read_bytes()
    config = {
        "steps": 8,
        "cache": {"policy": "magcache", "ratios": "cond:-;1.02", "made_for": "steps=8"},
        "provenance": {"made_by": "bwcache-gen calibrate", "clips": [{"prompt": "a fox", "seed": 1}], "plan": {}},
    }
    (bundle.parent / "plan.json").write_text(json.dumps(config))
    run(monkeypatch, bundle, f"calibrated={bundle.parent / 'plan.json'}")
    manifest = json.loads((bundle / "model.json").read_text())
    found = manifest["cache_presets"]["calibrated"]
    assert found["cache"] == config["cache"]
    assert found["measured"]["weights"] == manifest["weights"][0]["sha256"][:12]
    assert found["measured"]["clips"] == 1
    run(monkeypatch, bundle, "--remove", "calibrated")
    assert json.loads((bundle / "model.json").read_bytes()) == json.loads(before)


def test_what_is_no_config_is_refused(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (bundle.parent / "plan.json").write_text("{}")
    for arguments, message in (
        ([f"a={bundle.parent / 'plan.json'}"], "holds no `cache`"),
        (["a"], "must be NAME=FILE"),
        (["--remove", "a"], "the bundle has no presets"),
    ):
        with pytest.raises(SystemExit, match=message):
            run(monkeypatch, bundle, *arguments)
