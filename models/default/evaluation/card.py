"""MODEL_CARD.md from figures, training logs and pictures: facts alone, each of which some file or run holds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from .. import captions
from ..captions import FIELDS, HELD_SUBJECTS, SUBJECTS
from . import pictures
from .pictures import Pictures
from .prompts import ARMS, interval
from .targets import percent, targets
from .training import FIGURES, Training, commands

DIGITS = 12  # of the hash under each table


def table(head: Sequence[str], rows: Iterable[Sequence[Any]], weights: str) -> Iterator[str]:
    """A table, and under it the hash of the weights that it holds for."""
    yield "| " + " | ".join(head) + " |"
    yield "|" + "---|" * len(head)
    for r in rows:
        yield "| " + " | ".join(str(v) for v in r) + " |"
    yield ""
    yield f"weights: {weights}"
    yield ""


def origin(f: dict[str, Any], t: Training, config: dict[str, Any], weights: str) -> Iterator[str]:
    yield "# Model card of the default model"
    yield ""
    yield (f"A text-to-video transformer for prompts of a small world: {config['size']} × {config['size']} pixels, "
           f"{config['frames']} frames, {config['fps']} per second. It exists to show what caching does, and was "
           f"trained from nothing. This page was written by `make evaluate-model`.")  # fmt: skip
    yield ""
    if "bundle" in f["weights"]:
        yield "weights: current"
        yield ""
    yield "## Where the weights come from"
    yield ""
    yield from table(("file", "sha256"), ((k, v) for k, v in f["weights"].items()), weights)
    yield "    " + "\n    ".join(commands(t))
    yield ""
    yield f"Training step {f['step']}; device {t.plan['device']}; machine {t.plan.get('machine', 'unknown')}."
    if t.plan.get("init"):
        yield "EARLIER is the packed checkpoint of the weights before these, whose hours are not in the table."
    if t.commit:
        yield f"Commit of this evaluation: {t.commit}."
    yield ""
    rows = ((s.name, s.steps, f"{s.minutes / 60:.2f}", span(s.threads)) for s in t.stages)
    yield from table(("stage", "steps", "hours", "threads"), rows, weights)


def span(limits: tuple[int, int]) -> str:
    return str(limits[0]) if limits[0] == limits[1] else f"{limits[0]} to {limits[1]}"


def reached(f: dict[str, Any], tier: str, weights: str) -> Iterator[str]:
    goals = targets(f, tier)
    yield f"## Targets ({tier.upper()} tier)"
    yield ""
    rows = ((g.name, g.wanted, g.reached, "yes" if g.met else "**no**") for g in goals)
    yield from table(("figure", "target", "reached", "met"), rows, weights)
    missed = [g.name for g in goals if not g.met]
    yield f"{len(goals) - len(missed)} of {len(goals)} met" + (f"; not met: {', '.join(missed)}." if missed else ".")
    yield ""


def following(f: dict[str, Any], weights: str) -> Iterator[str]:
    p, own = f["prompts"], f["prompts"]["classifier"]
    yield "## Does it draw what the prompt says?"
    yield ""
    yield (f"{p['clips_per_arm']} prompts per column, judged by the classifier (classifier.py). *seen*: combinations "
           "from training; *held*: held-out ones; *paraphrase*: wordings kept for evaluation; *rendered twins*: the "
           "same scenes from the renderer, by the same classifier. The last two columns are its own accuracy on "
           "held-out rendered clips and on their autoencoder round trips. *alone*: clips of one subject that show no "
           "second one. Only what a prompt mentions counts.")  # fmt: skip
    yield ""
    rows = []
    for field in (*FIELDS, "alone"):
        arms = [percent(p[a][field]) if field in p[a] else "–" for a in (*ARMS, "rendered_twins")]
        accuracy = [f"{own[k][field]:.1%}" if field in own[k] else "–" for k in ("rendered", "round_trip")]
        rows.append((field, *arms, *accuracy))
    head = ("field", *ARMS, "rendered twins", "classifier: rendered", "classifier: round trip")
    yield from table(head, rows, weights)
    motions = [(m, percent(v), "{:.0%} to {:.0%}".format(*interval(*v))) for m, v in p["motions"].items() if v[1]]
    yield from table(("motion, seen and held", "right", "95 % interval"), motions, weights)
    text = f["text"]
    yield (f"The text encoder by itself reads {text['order_only']:.1%} of the directions that hang on word order "
           f"alone, {mean_of(text['trained_phrases'])} of trained phrases and {mean_of(text['held_phrases'])} of "
           "phrases kept for evaluation (mean over fields, captions that fit its length).")  # fmt: skip
    yield ""
    typed = text["typed"]
    whole = " and ".join(f"{percent(found['whole'])} of the {name} set" for name, found in typed.items())
    yield ("Prompts as people type them (evaluation/typed.json, written without knowing the captions of the training, "
           f"widened with the first set at hand): all that the prompt says is read right in {whole}.")  # fmt: skip
    yield ""
    columns = [(name, kind) for name in typed for kind in ("said", "silent")]
    cells = [(f, *(percent(typed[n][k][f]) if typed[n][k][f][1] else "–" for n, k in columns)) for f in FIELDS]
    means = {"said": "mentioned: read right", "silent": "not mentioned: read so"}
    yield from table(("prompts as typed", *(f"{name} set, {means[kind]}" for name, kind in columns)), cells, weights)


def mean_of(accuracy: dict[str, float]) -> str:
    return f"{sum(accuracy.values()) / len(accuracy):.1%}"


def codec(f: dict[str, Any], weights: str) -> Iterator[str]:
    c = f["codec"]
    yield "## The autoencoder"
    yield ""
    places = {"psnr": "everywhere", "first": "first frame", "sprite": "under the sprite", "elsewhere": "elsewhere"}
    rows = [(name, f"{c[k]:.2f} dB") for k, name in places.items()]
    rows += [("gradient energy, to the original", c["gradient_energy_ratio"])]
    rows += [("blocking, to the original", c["blocking_ratio"])]
    yield from table((f"{c['clips']} held-out clips", "value"), rows, weights)
    z = c["latents"]
    largest = f"largest mean square {z['largest_mean_square']}, {z['outliers']} outliers"
    yield f"Latents of {z['clips']} training clips: {largest}."
    yield ""


def sampling(f: dict[str, Any], weights: str) -> Iterator[str]:
    s, p, g = f["solvers"], f["prompts"], f["generation"]
    yield "## Steps, sharpness, time"
    yield ""
    yield (f"PSNR against {s['converged']} steps of UniPC from the same noise, mean over {s['prompts']} prompts; "
           f"{s['converged']} steps of Euler come to {s['euler'][s['converged']]} dB.")  # fmt: skip
    yield ""
    rows = [(n, *(s[name][n] for name in ("euler", "dpm++2m", "unipc"))) for n in s["steps"]]
    yield from table(("steps", "Euler, dB", "DPM++ 2M, dB", "UniPC, dB"), rows, weights)
    profile = s["profile"]
    rows = [(k, b["first"], b["middle"], b["last"]) for k, b in enumerate(profile["per_block"])]
    yield from table(("block", "change, first step", "smallest in the middle", "last step"), rows, weights)
    yield (f"{profile['u_blocks']} of {profile['blocks']} blocks change less than 0.6 times as much in the middle as "
           f"at both ends; their mean goes {profile['first']}, {profile['middle']}, {profile['last']}. Gradient energy "
           f"of generated clips is {p['gradient_energy_ratio']} of that of the same scenes rendered (of a round trip "
           f"through the autoencoder: {f['codec']['gradient_energy_ratio']}), and energy across the borders of "
           f"16-pixel blocks {p['blocking_ratio']} (round trip: {f['codec']['blocking_ratio']}).")  # fmt: skip
    yield ""
    yield (f"A clip takes {g['seconds']} s in Python ({f['sampler']['steps']} steps with guidance and decoding, "
           f"{g['batch']} clips at a time, {g['threads']} threads, {g['device']}).")  # fmt: skip
    yield ""


def memory(f: dict[str, Any], weights: str) -> Iterator[str]:
    m = f["memorisation"]
    yield "## Does it repeat training clips?"
    yield ""
    rows = [(k, m[k]["median"], m[k]["smallest"], m[k]["ratio"]) for k in ("generated", "rendered")]
    yield from table(("clips", "distance to the nearest", "smallest", "nearest over second nearest"), rows, weights)
    yield (f"Distances between latents, channels weighted by what they show, to {m['training_clips']} training clips; "
           f"*rendered* are clips of the same {m['clips']} scenes from unused seeds. "
           f"{m['nearer_than_any_rendered']} generated clips are nearer to a training clip than any rendered one is. "
           "The picture shows the nearest ones, the generated clip on the left.")  # fmt: skip
    yield ""
    yield "![nearest training clips](card/nearest.png)"
    yield ""


def curves(t: Training, weights: str) -> Iterator[str]:
    yield "## Training"
    yield ""
    for s in t.stages:
        names = FIGURES[s.name]
        if names:
            rows = ((f"{minutes:.1f}", *(v.get(n, "–") for n in names)) for minutes, v in s.curve)
            yield from table((f"{s.name}: minutes", *names), rows, weights)


def limits(config: dict[str, Any]) -> Iterator[str]:
    pairs = f"{captions.PAIR_SHARE:.0%}"
    yield "## Limits"
    yield ""
    yield f"* It knows {len(SUBJECTS)} subjects: {', '.join(SUBJECTS)}."
    yield f"* Never drawn in training, for evaluation alone: {', '.join(HELD_SUBJECTS)}."
    yield f"* English of the caption grammar (captions.py); two subjects at most ({pairs} of training clips)."
    yield f"* One size and length: {config['size']} pixels, {config['frames']} frames."
    yield "* Colours and numbers of subjects cannot be asked for."
    yield "* The classifier is trained on the renderer's clips: it says what a clip shows, not whether it looks good."
    yield ""
    yield "## Attribution"
    yield ""
    yield f"{config['attribution']}. Generated frames can resemble the sprites closely."


def write(directory: Path, f: dict[str, Any], p: Pictures, t: Training, config: dict[str, Any]) -> None:
    """DIRECTORY/MODEL_CARD.md and DIRECTORY/card/*.png. f: what `evaluate` returned, with the hashes of the weights."""
    weights = f["weights"].get("bundle", f["weights"]["dit.safetensors"])[:DIGITS]
    tier = "gpu" if t.plan["preset"] == "M" else "cpu"
    scale = pictures.write(directory / "card", p)
    lines = [*origin(f, t, config, weights), *reached(f, tier, weights)]
    lines += ["## Held-out prompts", "", f"First and last frame, at {scale:.0%} of their size.", "",
              "![held-out prompts](card/held_out.png)", ""]  # fmt: skip
    lines += [*following(f, weights), *codec(f, weights), *sampling(f, weights), *memory(f, weights)]
    lines += [*curves(t, weights), *limits(config)]
    part = directory / "MODEL_CARD.md.part"
    part.write_text("\n".join(lines) + "\n")
    part.replace(directory / "MODEL_CARD.md")
