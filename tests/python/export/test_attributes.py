"""What the default model's text encoder reads goes into the bundle, if the checkpoint names its classes."""

import json
from pathlib import Path
from typing import Any

import pytest
import sentencepiece
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from models.default import captions, checkpoint, vocabulary
from models.default.dit import DiT, DiTConfig, TextEncoder
from models.default.vae import VAE, VAEConfig
from models.export import bundle, default_family, verify
from models.export.replay import Bundle

ROOT = Path(__file__).resolve().parents[3]
TOKENIZER = ROOT / "models/default/bundle/tokenizer.model"


def packed(out: Path, **extra: Any) -> Path:
    """A tiny random checkpoint; `extra` is what a training knows of its captions."""
    torch.manual_seed(0)
    vocab = sentencepiece.SentencePieceProcessor(model_file=str(TOKENIZER)).vocab_size()
    shape = DiTConfig(dim=64, depth=1, heads=1, text_dim=64, text_depth=1, vocab=vocab, classes=captions.CLASSES)
    codec = VAEConfig(z=48, enc=(8, 8, 8, 8), dec=(8, 8, 8, 8))
    dit, text, vae = DiT(shape), TextEncoder(shape), VAE(codec)
    weights = {f"{k}.{n}": v for k, m in (("dit", dit), ("text", text)) for n, v in m.state_dict().items()}
    config = {
        "dit": shape.to_dict(),
        "vae": codec.to_dict(),
        "latent_mean": [0.0] * 48,
        "latent_std": [1.0] * 48,
        "fps": 12,
        "frames": 9,
        "size": 64,
        "sampler": {"steps": 2, "shift": 5.0, "guidance": 5.0},
    }
    checkpoint.write_packed(out, weights, vae.state_dict(), {**config, **extra}, TOKENIZER)
    return out


def export(tmp_path: Path, **extra: Any) -> Path:
    out = tmp_path / "bundle"
    bundle.write(default_family.family(packed(tmp_path / "checkpoint", **extra)), out)
    return out


@pytest.fixture(scope="module")
def named(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export(tmp_path_factory.mktemp("named"), names=captions.NAMES)


def test_named_classes_and_words_are_exported_and_replay(named: Path) -> None:
    out = named
    text = json.loads((out / "model.json").read_text())["text"]
    assert [row["name"] for row in text["attributes"]] == list(captions.FIELDS)
    assert text["words"] == vocabulary.words()
    report = verify.verify_goldens(out)
    assert sum(", " in name for name in report) == 3 * len(captions.FIELDS)
    golden = load_file(out / "golden/text.safetensors")
    with safe_open(out / "golden/text.safetensors", "pt") as file:
        metadata = file.metadata()
    assert json.loads(metadata["2.unknown_words"]) == ["fox's", "friend", "throgh", "well-lit", "cinematic"]
    assert metadata["weights"] == bundle.sha256(out / "weights/model.safetensors")
    # In bf16 the archive reads the same, within rounding.
    found = Bundle(out, "bfloat16").attributes(golden["0.ids"], golden["0.mask"])
    for n, logits in enumerate(found):
        assert verify.relative(logits, golden[f"0.attributes.{n}"]) < 0.1


def test_wrong_logits_are_noticed(named: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read = Bundle.attributes
    monkeypatch.setattr(Bundle, "attributes", lambda self, ids, mask: [x + 0.01 for x in read(self, ids, mask)])
    with pytest.raises(verify.VerificationError, match="text 0, subject"):
        verify.verify_goldens(named)


def test_checkpoint_without_class_names_exports_without_attributes(tmp_path: Path) -> None:
    out = export(tmp_path)
    manifest = json.loads((out / "model.json").read_text())
    assert not {"attributes", "words"} & manifest["text"].keys()
    assert not any(name.startswith("text.read.") for name in load_file(out / "weights/model.safetensors"))
    verify.verify_goldens(out)


def test_checkpoint_of_other_classes_lists_its_own_words(tmp_path: Path) -> None:
    names = {**captions.NAMES, "subject": ["yak", *captions.NAMES["subject"][1:]]}
    text = default_family.manifest(checkpoint.load(packed(tmp_path, names=names, words=["yak", "a"])))["text"]
    assert text["attributes"][0]["classes"][0] == "yak" and text["words"] == ["a", "yak"]


def test_class_names_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    names = {**captions.NAMES, "subject": ["yak"]}
    with pytest.raises(ValueError, match=r"dit\.classes has"):
        export(tmp_path, names=names)
