"""The GPU tier, rehearsed on the CPU: slices, a kill, a lost machine, the way home. The machine it is for has
neither safetensors nor sentencepiece, imaging or fonts, so the first slice runs without them."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest
import torch
from conftest import ROOT

from models.default import captions, checkpoint, tokenizer
from models.default.dit import DiT, TextEncoder
from models.default.gpu import export, kit, probe, shards
from models.default.gpu.banks import Filler, LatentBank, Statistics
from models.default.gpu.chain import Request, Slice
from models.default.gpu.collect import collect
from models.default.gpu.feed import WordedClip, Wording
from models.default.gpu.settings import FULL, REHEARSAL
from models.default.gpu.unigram import Unigram
from models.default.sample import Pipeline, Sampler
from models.default.state import write_json
from models.default.vae import VAE

ABSENT = ("safetensors", "sentencepiece", "PIL", "fontTools")
BLOCK = f"""
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {ABSENT!r}:
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Absent())
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, atlas_path: Path) -> Path:
    root = tmp_path_factory.mktemp("kit")
    (root / "atlas.npz").write_bytes(atlas_path.read_bytes())
    tokenizer.train_from_grammar(root / "tokenizer.model", lines=2000)
    kit.write_vocabulary(root / "tokenizer.model", root / "vocabulary.json")
    write_json(root / "kit.json", {"subjects": "small", "names": captions.NAMES})
    return root


@pytest.fixture(scope="module")
def words(folder: Path) -> Unigram:
    return Unigram(folder / "vocabulary.json")


def test_unigram_equals_sentencepiece(folder: Path, words: Unigram) -> None:
    reference, rng = tokenizer.Tokenizer(folder / "tokenizer.model"), random.Random(7)
    texts = [captions.caption(captions.scene(rng, "any"), rng, held=i % 5 == 0)[0] for i in range(2000)]
    letters = " abcdefghijklmnopqrstuvwxyz0123456789.,!?-#~{"
    texts += ["", "A  Fox \t!", "x" * 50, *("".join(rng.choices(letters, k=30)) for _ in range(5000))]
    assert torch.equal(words(texts), reference(texts))
    assert len(words) == len(reference)


def test_unigram_other_than_ascii_is_refused(words: Unigram) -> None:
    with pytest.raises(ValueError, match="only ASCII"):
        words(["un château"])


def test_kit_of_other_subjects_is_refused(folder: Path, tmp_path: Path) -> None:
    assert kit.check(folder)["subjects"] == "small"
    with pytest.raises(ValueError, match="holds no kit"):
        kit.check(tmp_path)
    names = {**captions.NAMES, "subject": ["fox"]}
    write_json(tmp_path / "kit.json", {"subjects": "large", "names": names})
    with pytest.raises(ValueError, match="made for BWCACHE_SUBJECTS=large, it is small"):
        kit.check(tmp_path)


def test_shards_return_what_was_written(tmp_path: Path) -> None:
    g = torch.Generator().manual_seed(0)
    weights = {"encoder": {"a": torch.randn(5, 3, 3, 3, generator=g)}, "dit": {"m": torch.randn(96, 64, generator=g)}}
    shards.write(tmp_path, weights)
    back = shards.read([tmp_path])
    assert torch.equal(back["encoder"]["a"], weights["encoder"]["a"].bfloat16().float())
    m = weights["dit"]["m"]
    assert ((back["dit"]["m"] - m).abs() <= m.abs().amax(1, keepdim=True) / 254 + 1e-6).all()
    again = tmp_path / "again"
    shards.write(again, back)
    assert torch.equal(shards.read([again])["dit"]["m"], back["dit"]["m"]), "rounding again must change nothing"


def test_shards_too_large_are_refused_and_old_ones_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shards.write(tmp_path, {"encoder": {"a": torch.ones(4)}})
    monkeypatch.setattr(shards, "LIMIT", 10_000)
    with pytest.raises(shards.TooLarge, match="do not fit into 4 files"):
        shards.write(tmp_path, {"encoder": {str(k): torch.ones(64, 64) for k in range(5)}})
    assert torch.equal(shards.read([tmp_path])["encoder"]["a"], torch.ones(4))


def test_shards_of_the_full_size_come_home(words: Unigram, tmp_path: Path) -> None:
    """Transformer M, text encoder and wide encoder in one slice; the wide autoencoder in another."""
    config = probe.dit_config(FULL, "M", words)
    with torch.device("meta"):
        modules = {"dit": DiT(config), "text": TextEncoder(config), "encoder": VAE(FULL.vae).encoder,
                   "decoder": VAE(FULL.vae).decoder}  # fmt: skip
    parts = {k: {n: torch.zeros(v.shape) for n, v in m.state_dict().items()} for k, m in modules.items()}
    for news, wanted in ((False, ("encoder", "dit", "text")), (True, ("encoder", "decoder", "text"))):
        assert export.choices(parts, news)[1] == wanted
    paths = shards.write(tmp_path, {k: parts[k] for k in ("encoder", "dit", "text")})
    sizes = [p.stat().st_size for p in paths]
    assert len(sizes) <= 4 and max(sizes) <= 16 * 2**20 and sum(sizes) <= 58.5 * 2**20
    vae = {k: shards.entry("encoder", v) for part in ("encoder", "decoder") for k, v in parts[part].items()}
    assert len(shards.spread(vae)) <= 4


def test_filler_failure_reaches_the_training() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise OSError("a worker died")

    got: list[int] = []
    filler = Filler(items(), got.extend, 1, "cpu")
    filler.thread.join()
    assert got == [1]
    with pytest.raises(RuntimeError, match="a worker died"):
        filler.check()


def test_latent_bank_leaves_outliers_out_and_returns_from_its_state() -> None:
    vae = VAE(REHEARSAL.vae)
    bank = LatentBank(vae, 3, "cpu")
    c = REHEARSAL.vae.z
    bank.statistics = Statistics(torch.zeros(c), torch.ones(c), torch.ones(c), "0123")
    wording = Wording(np.full((3, 32), 7, np.int16), np.zeros((2, 8), np.int16))
    clips = [
        WordedClip(np.full((5, 3, 32, 32), k, np.uint8), np.full((2, 2, 2), k, np.uint8), wording) for k in range(6)
    ]
    z = torch.stack([torch.full((2, c, 2, 2), v) for v in (1.0, 9.0, 0.5, 1.5)]).bfloat16()
    bank.encode = lambda part: z[[int(p.frames[0, 0, 0, 0]) for p in part]]  # type: ignore[method-assign]
    bank.begin(clips[:2])
    bank.add(clips[2:4])
    assert (bank.ready, bank.dropped, bank.seed) == (3, 1, 4)
    assert bank.cover[:, 0, 0, 0].tolist() == [0, 2, 3]
    other = LatentBank(vae, 8, "cpu")
    other.load(bank.state())
    assert other.ready == 3 and torch.equal(other.z[:3], bank.z) and other.statistics.encoder == "0123"


@pytest.mark.parametrize(("rate", "preset"), [(1000.0, "XS"), (1.0, "XXS")])
def test_probe_takes_the_largest_that_sees_enough(
    rate: float, preset: str, words: Unigram, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = []

    def speed(trainer: object, batch: int, seconds: float) -> float:
        tried.append(batch)
        if batch == 8:
            raise torch.OutOfMemoryError
        return rate

    monkeypatch.setattr(probe, "samples_per_second", speed)
    settings = replace(REHEARSAL, presets=("XS", "XXS"), wanted=5e3, dit_batch=8, vae_batch=2)
    found = probe.Probe(settings, words, "cpu", print).run(10.0)
    assert found == probe.Found(preset, 4, 2) and tried[:3] == [2, 8, 4]


def test_compiled_blocks_are_kept_only_where_they_are_faster(words: Unigram, monkeypatch: pytest.MonkeyPatch) -> None:
    trainer = probe.Probe(REHEARSAL, words, "cpu", print).dit("XXS", 4)
    said: list[str] = []
    for speeds, kept in (
        ([10.0, 20.0], True),
        ([20.0, 10.0], False),
        ([20.0, RuntimeError("no compiler\nlines")], False),
    ):
        monkeypatch.setattr(probe, "rehearsed", Mock(side_effect=speeds))
        assert probe.compile_if_faster(trainer, 4, said.append) == kept
        assert ("forward" in trainer.model.dit.blocks[0].__dict__) == kept
    assert "blocks are not compiled: RuntimeError: no compiler" in said


def killed_slice(work: Path, folder: Path, site: Path) -> None:
    """The first slice in a process without the absent modules, killed as soon as it has a state."""
    (site / "sitecustomize.py").write_text(BLOCK)
    env = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(site)}
    flags = ["--rehearse", "--device", "cpu", "--kit", folder, "--work", work, "--out", site, "--workers", "1"]
    command = [sys.executable, "-m", "models.default.gpu", "run", *map(str, flags)]
    with (site / "log.txt").open("w") as log:
        p = subprocess.Popen(command, cwd=ROOT, env=env, stdout=log, stderr=log)
        deadline = time.monotonic() + 120
        while not (work / "vae" / "state.pt").exists() and p.poll() is None and time.monotonic() < deadline:
            time.sleep(0.01)
        p.send_signal(signal.SIGKILL)
        p.wait()
    assert (work / "vae" / "state.pt").exists(), (site / "log.txt").read_text()


def test_rehearsal_through_a_kill_and_a_lost_machine(
    folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = replace(REHEARSAL, clips=8, latents=16, probe=0.0)
    work, first, last = tmp_path / "work", tmp_path / "1", tmp_path / "2"
    killed_slice(work, folder, tmp_path)
    monkeypatch.setattr(Slice, "left", lambda self: 2.0)  # seconds for the transformer, however slow the machine is

    request = Request(folder, work, "cpu", settings, minutes=60.0, slice=300.0, reserve=1.0, workers=1)
    assert not Slice(replace(request, slice=1.2)).run(), "over before the autoencoder is"
    assert export.export(work, first, settings, "cpu") == ("encoder", "decoder")
    assert json.loads((first / "about.json").read_text())["vae"]["frozen"] is False
    short = replace(request, minutes=0.02)
    assert Slice(short).run()
    assert export.export(work, first, settings, "cpu") == ("encoder", "decoder", "dit", "text")
    assert {p.name for p in first.iterdir()} == {"weights-1.pt", "about.json", "log.jsonl", "sheet.png"}
    rows = [json.loads(row) for row in (first / "log.jsonl").read_text().splitlines()]
    assert {row["stage"] for row in rows} == {"vae", "text", "dit"} and rows[-1]["step"] > 0

    fresh = replace(short, work=tmp_path / "fresh", earlier=(first,))
    assert Slice(fresh).run()
    out = capfd.readouterr().out
    assert "resumed at step" in out and "autoencoder is frozen" in out
    assert "the autoencoder comes from an earlier machine" in out
    assert "transformer starts from averaged weights, warmed up over 60 steps" in out
    export.export(fresh.work, last, settings, "cpu", ("encoder", "dit", "text"))

    with pytest.raises(ValueError, match="missing: decoder"):
        collect([last], folder, tmp_path / "packed")
    assert "step" in collect([first, last], folder, tmp_path / "packed")
    assert checkpoint.load(tmp_path / "packed").config["names"] == captions.NAMES
    pipe = Pipeline(str(tmp_path / "packed"))
    assert pipe.decode(pipe.latents(["a fox"], Sampler(steps=1))).shape == (1, 9, 3, 64, 64)


def test_collect_refuses_parts_of_different_trainings(tmp_path: Path) -> None:
    tiny = {k: {"w": torch.ones(2)} for k in ("encoder", "decoder", "dit", "text")}
    shards.write(tmp_path, tiny)
    write_json(tmp_path / "about.json", {"names": captions.NAMES, "statistics": {"vae": "0123"}})
    with pytest.raises(ValueError, match="belongs to encoder 0123"):
        collect([tmp_path], tmp_path, tmp_path / "packed")
