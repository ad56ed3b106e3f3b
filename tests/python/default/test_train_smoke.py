"""The whole chain, twenty steps of every training, through the code path of a real run."""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT

from models.default import checkpoint
from models.default.dataset import Atlas
from models.default.evaluate import evaluate
from models.default.sample import Pipeline, Sampler


def train(*flags: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "models.default.train", *flags]
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=300)


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory, atlas_path: Path) -> Path:
    out = tmp_path_factory.mktemp("chain")
    (out / "data").mkdir()
    (out / "data" / "atlas.npz").write_bytes(atlas_path.read_bytes())
    done = train("--out", str(out), "--steps", "20", "--clips", "16", "--latents", "16", "--workers", "1")
    assert done.returncode == 0, done.stderr
    return out


def test_chain_leaves_a_checkpoint_that_generates(chain: Path) -> None:
    c = checkpoint.load(chain / "checkpoint")
    assert c.config["step"] == 20 and c.vae.cfg.latent_bound == 5.0
    pipe = Pipeline(str(chain / "checkpoint"))
    frames = pipe.decode(pipe.latents(["a fox", ""], Sampler(steps=2)))
    assert frames.shape == (2, 9, 3, 64, 64)
    assert set(pipe.understood("zzz unknown wörds")) == set(c.config["names"])
    assert (chain / "checkpoint" / "sheet.png").stat().st_size > 1000


def test_chain_logs_figures(chain: Path) -> None:
    for stage, figure in (("vae", "sprite"), ("text", "order"), ("dit", "validation")):
        rows = [json.loads(line) for line in (chain / stage / "log.jsonl").read_text().splitlines()]
        assert figure in rows[-1] and rows[-1]["step"] == 20, stage
        assert rows[0]["rate"] > 0 and rows[0]["loss"] > 0, stage


def test_chain_finished_is_not_repeated_and_not_overwritten(chain: Path) -> None:
    before = (chain / "dit" / "state.pt").stat().st_mtime_ns
    again = train("--out", str(chain), "--resume")
    assert again.returncode == 0, again.stderr
    assert (chain / "dit" / "state.pt").stat().st_mtime_ns == before
    refused = train("--out", str(chain), "--steps", "20")
    assert refused.returncode != 0 and "--resume" in refused.stderr


def test_chain_result_can_be_evaluated(chain: Path) -> None:
    flags = {"prompts": 2, "clips": 1, "steps": 6, "shift": 5.0, "guidance": 5.0, "fewer": "2", "converged": 6}
    pipe, atlas = Pipeline(str(chain / "checkpoint")), Atlas(chain / "data" / "atlas.npz")
    figures = evaluate(pipe, atlas, argparse.Namespace(**flags))
    assert figures["sampling"]["euler"][6] == 80.0, "the same steps must give the same clip"
    assert len(figures["sampling"]["profile"]["per_step"]) == 5
    assert figures["codec"]["psnr"] > 10 and 0 <= figures["text"]["order_only"] <= 1
