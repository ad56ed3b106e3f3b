"""Trains the default model by one command, in resumable stages.

    python -m models.default.train --font NotoColorEmoji.ttf --minutes 600     start
    python -m models.default.train --resume                                    go on after a kill
    python -m models.default.train --resume --stage vae --minutes 200          a larger budget for one stage

Stages: atlas (sprites), bank (clips), tokenizer, vae, encode (latents), text, dit, classifier (for the
evaluation). A finished stage is skipped. What a training was started with is kept in OUT/plan.json; with
--resume it applies again and given flags change it. A budget in minutes counts the time of all slices of its
stage.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from . import captions, classifier_bank, dataset, latents, tokenizer
from .checkpoint import encoder_hash, load_vae, read_weights, write_vae
from .classifier import ClassifierConfig
from .data_parallel import ReplicaLost, Replicas
from .dit import PRESETS, DiTConfig, default_config
from .loop import BadBatches, Budget, Run, Schedule
from .pack import Parts, pack
from .sample import Pipeline, Sampler
from .sheet import PROMPTS, write_sheet
from .state import differences, refuse_other, write_json
from .train_classifier import ClassifierOptions, ClassifierTrainer
from .train_dit import DiTOptions, DiTTrainer, Phase, compile_blocks
from .train_text import GateFailed, TextOptions, TextTrainer, gate
from .train_vae import VAEOptions, VAETrainer
from .transfer import take_text, take_transformer
from .vae import VAEConfig

STAGES = ("atlas", "bank", "tokenizer", "vae", "encode", "text", "dit", "classifier")
SHARES = {"vae": 0.41, "text": 0.03, "dit": 0.53, "classifier": 0.03}  # of --minutes when no stage is named
MOST = {"text": 4.0, "classifier": 15.0}  # of them, in minutes
FONTS = ("/usr/share/fonts/truetype/noto/NotoColorEmoji.ttf",)  # Debian: fonts-noto-color-emoji
PROCESSES = (1, 2, 4, 8)  # they divide every batch
GATE_MINUTES = 1.5  # a text budget below this is a rehearsal: the gate is reported, not enforced
VAE_SMALL = {"enc": (16, 32, 48, 64), "dec": (64, 48, 32, 24)}  # for rehearsals


class Chain:
    """The stages of one training. plan: what it was asked for; see `defaults`."""

    def __init__(self, out: Path, data: Path, plan: dict[str, Any]):
        self.out, self.data, self.plan = out, data, plan
        self.device, self.workers = plan["device"], plan["workers"]
        self.shape = (plan["frames"], plan["size"])
        data.mkdir(parents=True, exist_ok=True)

    def run(self, stages: list[str]) -> None:
        for name in stages:
            getattr(self, name)()

    def budget(self, stage: str) -> Budget:
        return Budget(minutes=self.plan["minutes"].get(stage, 0.0), steps=self.plan["steps"])

    def schedule(self, **values: Any) -> Schedule:
        rehearsal = self.plan["steps"] is not None or sum(self.plan["minutes"].values()) < 10
        return Schedule(log_every=10 if rehearsal else 50, save_every=self.plan["save_every"], **values)

    def say(self, text: str) -> None:
        print(f"[train] {text}", flush=True)

    def atlas(self) -> None:
        target = self.data / "atlas.npz"
        if not target.exists():
            font = self.plan["font"] or next((f for f in FONTS if os.path.exists(f)), None)
            if font is None:
                raise SystemExit("--font NotoColorEmoji.ttf is needed (Debian: fonts-noto-color-emoji)")
            dataset.build_atlas(font, target)

    def bank(self) -> None:
        for split, n in (("held", min(128, max(4, self.plan["clips"] // 8))), ("train", self.plan["clips"])):
            done = self.data / f"scenes_{split}.json"
            if not (done.exists() and len(json.loads(done.read_text())) >= n):
                self.say(f"rendering {n} clips of the split {split}")
                dataset.write_bank(self.data / "atlas.npz", self.data, n, split, self.shape, self.workers)

    def tokenizer(self) -> None:
        target = self.data / "tokenizer.model"
        if not target.exists() and (about := self.earlier()) and about.get("names") == captions.NAMES:
            self.say(f"the tokenizer comes from {self.plan['init']}")
            shutil.copyfile(Path(self.plan["init"]) / "tokenizer.model", target)
        if not target.exists():
            tokenizer.train_from_grammar(target, lines=8000 if self.plan["preset"] == "XXS" else 60000)

    def vae(self) -> None:
        small = VAE_SMALL if self.plan["preset"] == "XXS" else {}
        options = VAEOptions(decoder_only=self.plan["decoder_only"])
        if self.plan["size"] < 2 * options.crop:
            options = replace(options, batch=4, crop=self.plan["size"] // 2, frames=min(5, self.plan["frames"]))
        out = self.out / "vae"
        out.mkdir(parents=True, exist_ok=True)
        trainer = VAETrainer(self.data, out, options, VAEConfig(latent_bound=5.0, **small), self.device)
        run = Run(trainer, out, self.budget("vae"), self.schedule())
        if not run.resume():
            trainer.start(read_weights(Path(self.plan["init"]) / "vae.safetensors") if self.plan["init"] else None)
        if run.budget.fraction(run.step) < 1:
            run.train()

    def encode(self) -> None:
        target, weights = self.data / "latents.pt", self.out / "vae" / "vae.safetensors"
        n = self.plan["latents"]
        if not weights.exists():
            self.adopt_vae()
        if target.exists():
            bank = latents.open_bank(target)
            if bank["vae"] == encoder_hash(weights) and len(bank["z"]) == n:
                return
        self.say(f"rendering and encoding {n} clips")
        atlas = self.data / "atlas.npz"
        vae = load_vae(self.out / "vae", self.device)
        bank = latents.build(target, vae, latents.BankRequest(atlas, n, self.shape, self.workers))
        self.say(f"latents {tuple(bank['z'].shape)}, largest mean square {bank['largest']:.2f}, "
                 f"{bank['outliers']} outliers")  # fmt: skip

    def earlier(self) -> dict[str, Any] | None:
        """config.json of the packed checkpoint that --init names."""
        path = self.plan["init"] and Path(self.plan["init"]) / "config.json"
        return json.loads(path.read_text()) if path else None

    def adopt_vae(self) -> None:
        about = self.earlier()
        if about is None:
            raise ValueError(f"{self.out / 'vae'} holds no autoencoder; train one (--stage vae), or name --init DIR")
        self.say(f"the autoencoder comes from {self.plan['init']}, as it is")
        (self.out / "vae").mkdir(parents=True, exist_ok=True)
        write_vae(self.out / "vae", read_weights(Path(self.plan["init"]) / "vae.safetensors"), about["vae"])

    def rewarmed(self, bank: dict[str, Any], vocab: int) -> dict[str, torch.Tensor] | None:
        """Transformer and text encoder of --init, if they are of this configuration. They are averaged weights
        without a state of optimisers, which a short warm-up makes good; an encoder that was trained on moves its
        latents little, and the transformer follows them."""
        about = self.earlier()
        if about is None:
            return None
        config = self.config(bank["z"].shape[2], bank["z"].shape[1], vocab)
        other = differences(DiTConfig.from_dict(about["dit"]).to_dict(), config.to_dict())
        if about.get("names") != captions.NAMES:
            other.append("it knows other subjects or words")
        if other:
            self.say(f"the transformer of {self.plan['init']} is not used as it is ({'; '.join(other)})")
            return None
        if (found := encoder_hash(Path(self.plan["init"]) / "vae.safetensors")) != bank["vae"]:
            self.say(f"its latents were another encoder's ({found} there, {bank['vae']} here)")
        return self.earlier_weights()

    def earlier_weights(self) -> dict[str, torch.Tensor]:
        return read_weights(Path(self.plan["init"]) / "dit.safetensors")

    def earlier_tokenizer(self) -> tokenizer.Tokenizer:
        return tokenizer.Tokenizer(Path(self.plan["init"]) / "tokenizer.model")

    def say_anew(self, names: list[str]) -> None:
        anew = sorted({n.split(".")[0] for n in names})
        self.say(f"what fits comes from {self.plan['init']}; anew begins {', '.join(anew) or 'nothing'}")

    def config(self, channels: int, latent_frames: int, vocab: int) -> Any:
        preset = self.plan["preset"]
        return default_config(
            preset, channels=channels, clip_frames=latent_frames, vocab=vocab, classes=captions.CLASSES
        )

    def text(self) -> None:
        tok = tokenizer.Tokenizer(self.data / "tokenizer.model")
        rehearsal = self.plan["steps"] is not None or self.plan["minutes"].get("text", 0) < GATE_MINUTES
        options = TextOptions(batch=32 if self.plan["preset"] == "XXS" else 128)
        config = self.config(48, (self.shape[0] - 1) // 4 + 1, len(tok))
        bank = self.data / "latents.pt"
        fresh = not (self.out / "text" / "state.pt").exists()
        if fresh and bank.exists() and self.rewarmed(latents.open_bank(bank), len(tok)):
            self.say("the text encoder comes with the transformer of --init")
            return
        trainer = TextTrainer(config, tok, options, self.device)
        run = Run(trainer, self.out / "text", self.budget("text"), self.schedule())
        if not run.resume() and self.plan["init"]:
            self.say_anew(take_text(trainer.model, self.earlier_weights(), (self.earlier_tokenizer(), tok)))
        if run.budget.fraction(run.step) < 1:
            run.train()
        gate(trainer.model, tok, 0.0 if rehearsal else 0.99)

    def dit(self) -> None:
        tok = tokenizer.Tokenizer(self.data / "tokenizer.model")
        bank = self.latent_bank()
        config = self.config(bank["z"].shape[2], bank["z"].shape[1], len(tok))
        options = DiTOptions()
        if self.plan["preset"] == "XXS":
            options = replace(options, phases=(Phase(0.25, 1, 16), Phase(1.0, 0, 8)), warm=10)
        if self.plan["init"]:  # single frames are for a transformer that knows nothing
            options = replace(options, phases=options.phases[-1:])
        trainer = DiTTrainer(config, bank, tok, options, self.device)
        if trainer.dropped:
            self.say(f"{trainer.dropped} clips with outlying latents are left out")
        run = Run(trainer, self.out / "dit", self.budget("dit"), self.schedule(spike=3.0, evaluate_every=1200.0))
        if not run.resume():
            self.start_dit(trainer, bank)
        if self.plan["compile"]:
            compile_blocks(trainer.model.dit)
        if self.plan["processes"] > 1 and run.budget.fraction(run.step) < 1:
            run.threads = None  # each has one
            Replicas(trainer, self.data, self.plan["processes"], self.plan["compile"])
        parts = Parts(self.out / "vae", bank, self.data / "tokenizer.model", self.shape)

        def publish() -> None:
            """The averaged weights as a packed checkpoint, and a sheet made with them."""
            target = self.out / "checkpoint"
            pack(target, trainer.averages().weights, config.to_dict(), run.step, parts)
            pipe = Pipeline(str(target), self.device)
            sampler = Sampler(steps=4 if self.plan["preset"] == "XXS" else 20)
            write_sheet(list(pipe.decode(pipe.latents(PROMPTS, sampler))), target / "sheet.png")

        trainer.after = publish
        if run.budget.fraction(run.step) < 1:
            run.train()
        if trainer.replicas:
            trainer.replicas.close()

    def start_dit(self, trainer: DiTTrainer, bank: dict[str, Any]) -> None:
        if weights := self.rewarmed(bank, len(trainer.tokenizer)):
            self.say(f"no state in {self.out / 'dit'}: the transformer starts from the averaged weights of "
                     f"{self.plan['init']}, warmed up over {trainer.o.warm} steps")  # fmt: skip
            trainer.start(None, weights)
            return
        path = self.out / "text" / "state.pt"
        if not path.exists():
            raise ValueError(f"{path} is missing: the transformer starts from a trained text encoder (--stage text)")
        text = torch.load(path, map_location=self.device, weights_only=True)
        wanted = TextTrainer(trainer.cfg, trainer.tokenizer, TextOptions()).config()
        refuse_other(text["config"], wanted, str(path))
        if about := self.earlier():
            earlier = DiTConfig.from_dict(about["dit"])
            self.say_anew(take_transformer(trainer.model.dit, self.earlier_weights(), earlier))
        trainer.start(text["trainer"]["model"])

    def latent_bank(self) -> dict[str, Any]:
        path = self.data / "latents.pt"
        if not path.exists():
            raise ValueError(f"{path} is missing: clips are encoded before text and transformer (--stage encode)")
        return latents.open_bank(path)

    def classifier(self) -> None:
        out = self.out / "classifier"
        if self.plan["steps"] is None and not self.plan["minutes"].get("classifier"):
            self.say("the classifier has no budget; give it one with --resume --stage classifier --minutes 15")
            return
        n = self.plan["clips"]
        for part, clips, copies in (("held", min(512, n), min(512, n)), ("train", n + n // 4, n // 2)):
            request = classifier_bank.Request(part, clips, copies, self.shape, self.device)
            classifier_bank.build(out / "bank", self.data / "atlas.npz", self.out / "vae", request)
        small = {"widths": (8, 16, 32), "depth": 1} if self.plan["preset"] == "XXS" else {}
        options = ClassifierOptions(batch=8 if small else 16)
        config = ClassifierConfig(*self.shape, **small)
        trainer = ClassifierTrainer(out, options, config, self.device)
        run = Run(trainer, out, self.budget("classifier"), self.schedule())  # its time begins after the bank
        run.resume()
        if run.budget.fraction(run.step) < 1:
            run.train()


def defaults(minutes: float | None, steps: int | None) -> dict[str, Any]:
    """Sizes by budget: minutes below half an hour, or steps, are a rehearsal."""
    small = steps is not None or minutes is None or minutes < 30
    return {
        "preset": "XXS" if small else "XS",
        "clips": 64 if small else 4000,
        "latents": 64 if small else 12000,
        "size": 64 if small else dataset.SIZE,
        "frames": 9 if small else dataset.FRAMES,
        "minutes": {},
        "steps": None,
        "device": "cpu",
        "workers": os.cpu_count() or 1,
        "save_every": 240.0,
        "processes": 1,
        "compile": False,
        "decoder_only": False,
        "font": None,
        "init": None,
    }


def machine(device: str) -> str:
    """Its kind, for the model card."""
    if device.startswith("cuda"):
        return torch.cuda.get_device_name(device)
    try:
        rows = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        rows = []
    name = next((r.split(":", 1)[1].strip() for r in rows if r.startswith("model name")), "processor")
    return f"{os.cpu_count()} cores, {name}"


def parse() -> argparse.Namespace:
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--out", type=Path, default=cache / "bwcache-gen" / "training", help="states and results")
    p.add_argument("--data", type=Path, help="clips, tokenizer, latents (default: OUT/data)")
    p.add_argument("--resume", action="store_true", help="go on with the training in OUT")
    p.add_argument("--stage", action="append", choices=STAGES, help="only this stage (repeatable)")
    p.add_argument("--minutes", type=float, help="budget of the named stages, or of all together")
    p.add_argument("--steps", type=int, help="budget in steps of every training stage, instead of minutes")
    p.add_argument("--device", help="cpu or cuda")
    p.add_argument("--preset", choices=PRESETS)
    for name, text in (("clips", "for the autoencoder"), ("latents", "clips for the transformer"),
                       ("size", "pixels"), ("frames", "4n+1"), ("workers", "rendering processes"),
                       ("processes", "that share the transformer's batches on a CPU, one thread each")):  # fmt: skip
        p.add_argument(f"--{name}", type=int, help=text)
    p.add_argument("--save-every", type=float, help="seconds between checkpoints (default: 240)")
    p.add_argument("--font", help="NotoColorEmoji.ttf")
    p.add_argument(
        "--init",
        help="packed checkpoint to start from: its autoencoder, its transformer where the latents are the same",
    )
    p.add_argument("--compile", action="store_true", default=None, help="compile the blocks (needs a C++ compiler)")
    p.add_argument("--decoder-only", action="store_true", default=None, help="train the decoder, keep the latents")
    return p.parse_args()


def make_plan(a: argparse.Namespace) -> dict[str, Any]:
    path = a.out / "plan.json"
    if path.exists() and not a.resume:
        raise SystemExit(f"{a.out} already holds a training: --resume goes on with it, --out chooses another place")
    plan = defaults(a.minutes, a.steps)
    if path.exists():
        plan |= json.loads(path.read_text())
    plan |= {k: v for k in plan if k != "minutes" and (v := getattr(a, k, None)) is not None}
    if a.minutes is not None:
        plan["steps"] = a.steps
        named = [s for s in a.stage or () if s in SHARES]
        parts = {s: SHARES[s] for s in (named or SHARES)}
        plan["minutes"] |= {s: a.minutes * w / sum(parts.values()) for s, w in parts.items()}
        if not named:
            plan["minutes"] |= {s: min(plan["minutes"][s], most) for s, most in MOST.items()}
    if not plan["minutes"] and plan["steps"] is None:
        raise SystemExit("--minutes or --steps is needed to start a training")
    plan["machine"] = machine(plan["device"])
    if plan["frames"] % 4 != 1 or plan["size"] % 32:
        raise SystemExit(f"--frames must be 4n+1 and --size a multiple of 32 (got {plan['frames']}, {plan['size']})")
    if plan["processes"] > 1 and plan["device"] != "cpu":
        raise SystemExit(f"--processes is for --device cpu (got {plan['processes']} on {plan['device']})")
    if plan["processes"] not in PROCESSES:
        raise SystemExit(f"--processes must be one of {', '.join(map(str, PROCESSES))} (got {plan['processes']})")
    a.out.mkdir(parents=True, exist_ok=True)
    write_json(path, plan)
    return plan


def main() -> None:
    a = parse()
    try:
        plan = make_plan(a)
        Chain(a.out, a.data or a.out / "data", plan).run(a.stage or list(STAGES))
    except (ValueError, OSError, BadBatches, GateFailed, ReplicaLost) as e:
        raise SystemExit(f"error: {e}") from None


if __name__ == "__main__":
    main()
