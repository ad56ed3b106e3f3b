"""The whole chain, twenty steps of every training, through the code path of a real run."""

import json
from pathlib import Path

from conftest import train

from models.default import checkpoint, vocabulary
from models.default.sample import Pipeline, Sampler


def test_chain_leaves_a_checkpoint_that_generates(chain: Path) -> None:
    c = checkpoint.load(chain / "checkpoint")
    assert c.config["words"] == vocabulary.words()
    assert c.config["step"] == 20 and c.vae.cfg.latent_bound == 5.0
    pipe = Pipeline(str(chain / "checkpoint"))
    frames = pipe.decode(pipe.latents(["a fox", ""], Sampler(steps=2)))
    assert frames.shape == (2, 9, 3, 64, 64)
    assert set(pipe.understood("zzz unknown wörds")) == set(c.config["names"])
    assert (chain / "checkpoint" / "sheet.png").stat().st_size > 1000


def test_chain_logs_figures(chain: Path) -> None:
    for stage, figure in (("vae", "sprite"), ("text", "order"), ("dit", "validation"), ("classifier", "rendered")):
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
