"""Clips and captions: deterministic, truthful, and never showing training what is held out."""

import json
import random
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from models.default import captions, subjects, vocabulary, weather
from models.default.captions import FIELDS, HELD_SUBJECTS, NAMES, caption, held_out, scene
from models.default.dataset import Atlas, render, stream, trajectory
from models.default.latents import latent_cover
from models.default.phrases import FINITE, HELD_PHRASES, LIT, OPEN, ORDER_ONLY, PHRASES, STAYING, STYLES, WAYS
from models.default.train_text import TextOptions, draw_texts, word

HELD_FILE = Path(captions.__file__).parent / "held_out.json"


@pytest.fixture(scope="module")
def atlas(atlas_path: Path) -> Atlas:
    return Atlas(atlas_path)


def test_render_same_seed_same_bytes(atlas: Atlas) -> None:
    a, b = (render(5, atlas, size=64, frames=5) for _ in range(2))
    assert a.scene == b.scene
    assert torch.equal(a.frames, b.frames) and torch.equal(a.cover, b.cover)


def test_render_other_seed_other_bytes(atlas: Atlas) -> None:
    assert not torch.equal(
        render(5, atlas, size=64, frames=5).frames,
        render(6, atlas, size=64, frames=5).frames,
    )


def test_stream_of_workers_equals_direct_rendering(atlas: Atlas, atlas_path: Path) -> None:
    clips = list(stream(atlas_path, range(3), "train", (5, 64), workers=2))
    for seed, clip in enumerate(clips):
        assert torch.equal(clip.frames, render(seed, atlas, size=64, frames=5).frames)


@pytest.mark.parametrize("motion", NAMES["motion"])
def test_render_motion_moves_the_sprite_as_named(atlas: Atlas, motion: str) -> None:
    s = {"subject": "fox", "motion": motion, "background": "hills", "light": "day", "camera": "static",
         "weather": "clear", "second": None, "relation": None}  # fmt: skip
    cover = render(1, atlas, fixed=s, size=64, frames=17).cover.float()
    axis = torch.arange(64.0)
    mass = cover.sum((1, 2))
    x = (cover.sum(1) * axis).sum(1) / mass
    y = (cover.sum(2) * axis).sum(1) / mass
    dx, dy, growth = (
        (x[-1] - x[0]).item(),
        (y[-1] - y[0]).item(),
        (mass[-1] / mass[0]).item(),
    )
    expected = {
        "left to right": dx > 15,
        "right to left": dx < -15,
        "rising": dy < -12,
        "falling": dy > 12,
        "growing": growth > 2,
        "shrinking": growth < 0.5,
        "still": abs(dx) < 1 and abs(dy) < 1 and 0.95 < growth < 1.05,
    }
    assert expected.get(motion, True), (motion, dx, dy, growth)
    assert (x.diff().abs().max() < 3) and (y.diff().abs().max() < 3), "motion is too fast for the temporal code"


def test_render_pair_stands_as_the_relation_says(atlas: Atlas) -> None:
    rng = random.Random(0)
    pairs = [s for s in (scene(rng) for _ in range(300)) if s["second"]]
    assert 0.08 < len(pairs) / 300 < 0.25
    s = dict(pairs[0], relation="left of", motion="still", camera="static", weather="clear")
    cover = render(2, atlas, fixed=s, size=64, frames=5).cover[0].float()
    assert cover[:, :30].max() > 127 and cover[:, 34:].max() > 127 and cover[:, 31:33].mean() < 30


@pytest.mark.parametrize("kind", ["rain", "snowfall"])
def test_weather_repeats_on_the_latent_raster(kind: str) -> None:
    frames = weather.apply(torch.full((9, 3, 128, 128), 0.4), kind, 1.0)
    assert frames.std() > 0.01
    shift = 4 * weather.SPEED[kind] % weather.TILE
    assert torch.equal(frames[4].roll(shift, 1), frames[8])


def test_held_out_training_never_draws_a_held_pair() -> None:
    pairs = json.loads(HELD_FILE.read_text())
    motion, background = ({tuple(p) for p in pairs[k]} for k in ("subject_motion", "subject_background"))
    assert {s for s, _ in motion} == {s for s, _ in background} == set(subjects.LARGE)
    assert set(NAMES["subject"]) == set(subjects.SMALL)
    for seed in range(20000):  # more seeds than any bank draws its scene from in the same way
        s = scene(random.Random(f"{seed}-train"), "train")
        for subject, action in ((s["subject"], s["motion"]), (s["second"], "still")):
            assert (subject, action) not in motion
            assert (subject, s["background"]) not in background
        assert s["subject"] not in HELD_SUBJECTS and s["second"] not in HELD_SUBJECTS


def test_held_out_render_draws_the_scene_that_the_split_test_saw(atlas: Atlas) -> None:
    for seed in range(5):
        assert render(seed, atlas, size=64, frames=1).scene == scene(random.Random(f"{seed}-train"), "train")


def test_circling_is_clockwise() -> None:
    circling = {**scene(random.Random(0)), "motion": "circling", "second": None}
    for seed in range(20):
        p = trajectory(circling, random.Random(seed), 17)
        dx, dy = p.x.diff(), p.y.diff()  # y points down, so that a positive turn is clockwise
        assert (dx[:-1] * dy[1:] > dy[:-1] * dx[1:]).all()


def test_held_out_split_holds_only_held_scenes() -> None:
    rng = random.Random(1)
    assert all(held_out(scene(rng, "held")) for _ in range(300))
    assert all(scene(rng, "unseen")["subject"] in HELD_SUBJECTS for _ in range(50))
    with pytest.raises(ValueError, match="split must be"):
        scene(rng, "test")


def test_held_out_phrases_are_no_training_phrases() -> None:
    for field, values in HELD_PHRASES.items():
        trained = {p for options in PHRASES[field].values() for p in options}
        assert set(values) == set(PHRASES[field]), field
        assert trained.isdisjoint(p for options in values.values() for p in options), field


def test_caption_phrases_mean_one_thing() -> None:
    for field, values in PHRASES.items():
        for kind in (values, HELD_PHRASES[field]):
            phrases = [p for options in kind.values() for p in options]
            assert len(phrases) == len(set(phrases)), field


def with_finite(phrases: Sequence[str]) -> list[str]:
    return [*phrases, *(" ".join([FINITE.get(p.split()[0], "-"), *p.split()[1:]]) for p in phrases)]


def places_aside(text: str, relation: str) -> bool:
    return any(re.search(form, text) for form in captions.aside(relation, "[a-z -]+"))


def says(text: str, field: str, value: str) -> bool:
    """Whether one of the value's phrases stands in the text: as it is, with its finite verb, as an adjective of the
    place, or as one of the ways to place a pair."""
    classes, shared = OPEN.get(field, ((), []))
    options = [*PHRASES[field][value], *(shared if value in classes else [])]
    if field == "motion":
        options = with_finite(options)
    if field in ("light", "weather"):
        options += [f"the {adjective} " for adjective in LIT.get(value, ())]
    if field == "background":
        text = re.sub("the ({}) ".format("|".join(a for words in LIT.values() for a in words)), "the ", text)
    if field == "relation" and any(places_aside(text, r) for r in NAMES["relation"]):
        return places_aside(text, value)
    return any(p in text for p in options)


def test_aside_places_the_first_on_its_side() -> None:
    ways = captions.aside("left of", "a car")
    assert {"on the left and a car on the right", "with a car on its right", "with a car on the right of it"} <= {*ways}
    assert "on the right, a car on the left" in captions.aside("right of", "a car")
    assert {w.replace("left", "x") for w in ways}.isdisjoint(captions.aside("right of", "a car"))


@pytest.mark.parametrize(
    ("phrase", "bare"),
    [
        ("in the forest", "forest"),
        ("in front of mountains", "mountains"),
        ("on a hill", "hill"),
        ("zoom in", "zoom in"),
    ],
)
def test_bare_phrase(phrase: str, bare: str) -> None:
    assert captions._bare(phrase) == bare


def test_a_typo_makes_no_other_word() -> None:
    rng, known = random.Random(13), set(vocabulary.words())
    for right in sorted(w for w in known if len(w) > 3):
        made = {captions._typo(right, rng) for _ in range(30)}
        assert made & known == {right} & made and (len(made) > 1 or not right.isalpha()), right


@pytest.mark.parametrize("mode", ["full", "partial", "short"])
def test_caption_mentions_what_it_says(mode: str) -> None:
    rng = random.Random(2)
    for _ in range(500):
        s = scene(rng)
        text, said = caption(s, rng, mode, clean=True)
        assert "subject" in said and set(said) <= set(FIELDS)
        for f in set(said) & set(PHRASES):
            assert says(text, f, str(s[f])), (text, f)
        assert ("second" in said) == (s["second"] is not None)


def test_a_full_caption_leaves_nothing_open() -> None:
    rng, open_ones = random.Random(5), set()
    for _ in range(3000):
        s, mode = scene(rng), rng.choice(("full", "partial"))
        words = captions._wordings(s, mode, rng, held=False)
        for field, (classes, phrases) in OPEN.items():
            if words.get(field) in phrases:
                assert mode == "partial" and s[field] in classes
                open_ones.add((field, s[field]))
    assert open_ones == {(field, c) for field, (classes, _) in OPEN.items() for c in classes}


def test_who_stays_in_place_does_not_go_through_it() -> None:
    rng, ways = random.Random(7), set()
    for _ in range(3000):
        s = scene(rng, pairs=0)
        if captions._wordings(s, "full", rng, held=False)["background"].startswith(WAYS):
            ways.add(s["motion"])
    assert ways == set(NAMES["motion"]) - set(STAYING)


def test_names_alone_are_those_of_the_scene() -> None:
    rng = random.Random(6)
    for _ in range(500):
        s = scene(rng, pairs=0)
        text, said = captions._terse(s, rng)
        assert "subject" in said
        for f in set(said) - {"subject"}:
            bare = [captions._bare(p) for p in PHRASES[f][str(s[f])]]
            assert any(p in text for p in (str(s[f]), *bare, *LIT.get(str(s[f]), ()))), (text, f)


def test_light_and_rain_are_adjectives_of_a_place_too() -> None:
    rng, found = random.Random(11), set()
    for _ in range(5000):
        s = scene(rng, pairs=0)
        text, said = caption(s, rng, "partial", clean=True)
        found |= {w for w in re.findall("the ([a-z]+) ", text) for v in LIT.values() if w in v}
    assert found == {w for v in LIT.values() for w in v}


def test_words_to_ignore_stand_beside_the_others_and_mean_nothing() -> None:
    rng, known, made, styles = random.Random(8), set(vocabulary.words()), set(), set()
    for _ in range(5000):
        text = captions._stray("fox CAT", rng)
        if text.startswith("fox CAT, "):
            styles |= set(text.split(", ")[1:])
            continue
        made |= set(vocabulary.split(text)) - {"fox", "CAT"}
        assert 3 <= len(text.split(" ")) <= 5 and text.index("fox") < text.index("CAT")
    assert len(made) > 1000 and made.isdisjoint(known) and set(STYLES) <= styles


@pytest.mark.parametrize("noun", ["a fox", "the fox", "an apple", "fox"])
def test_described_keeps_the_noun(noun: str) -> None:
    rng = random.Random(12)
    texts = {captions._described(noun, rng) for _ in range(300)}
    assert all(t.endswith(noun.split()[-1]) for t in texts) and len(texts) > 30
    assert not any(re.match("a [aeio]|an [^aeiou]", t) for t in texts)


def test_evaluation_captions_stay_the_same() -> None:
    """Figures of other weights were measured on them."""
    rng = random.Random(9)
    assert [caption(scene(rng, "held"), rng, "full", held=True)[0] for _ in range(3)] == [
        "the camera is fixed: a dolphin becoming bigger in the evening on snowy ground in rainy weather",
        "a whale is twirling above the sea by day, the camera zooms in slowly",
        "the stallion is bouncing up and down under water by day, the camera pans to the right.",
    ]


def test_every_motion_that_starts_with_a_verb_has_its_finite_form() -> None:
    verbs = {p.split()[0] for options in (*PHRASES["motion"].values(), OPEN["motion"][1]) for p in options}
    assert {v for v in verbs if v.endswith("ing")} == set(FINITE)


def test_caption_same_seed_same_words() -> None:
    a, b = ([caption(scene(r), r) for _ in range(20)] for r in (random.Random(3), random.Random(3)))
    assert a == b


def test_caption_order_only_share_and_labels() -> None:
    motion, camera = (FIELDS.index(f) for f in ("motion", "camera"))
    for seed in range(500):
        text, labels = captions.order_only(random.Random(seed), plain=seed % 2 == 0)
        right, left = (any(p in text for p in with_finite(ORDER_ONLY[m])) for m in ("left to right", "right to left"))
        assert right != left and labels[motion] == NAMES["motion"].index("left to right" if right else "right to left")
        assert seed % 2 or labels[camera] == len(NAMES["camera"])


def of_words(texts: Sequence[str], length: int = 18) -> torch.Tensor:
    """A tokenizer of whole words."""
    out = torch.zeros(len(texts), length, dtype=torch.int64)
    for row, text in zip(out, texts, strict=True):
        row[: len(text.split()) + 1] = 1
    return out


def test_captions_of_a_training_are_not_cut_off() -> None:
    rng = random.Random(8)
    scenes = [scene(rng, "any", 1.0) for _ in range(100)]
    texts, classes = word(scenes, rng, 0.0, of_words)
    assert (of_words(texts)[:, -1] == 0).all()
    assert max(len(t.split()) for t in texts) == 16, "long ones that fit are kept"
    camera = FIELDS.index("camera")
    assert any(c[camera] < len(NAMES["camera"]) for c in classes)


def test_captions_that_are_read_hold_their_shares() -> None:
    options = TextOptions(batch=200, order=0.2, pairs=0.5)
    texts, classes = draw_texts(random.Random(6), options, lambda texts: torch.zeros(len(texts), 1))
    second, motion = (FIELDS.index(f) for f in ("second", "motion"))
    two = sum(c[second] < len(NAMES["second"]) for c in classes)
    assert len(texts) == 200 and 90 <= two <= 125
    assert all(
        c[motion] < 2 and " left" in t and " right" in t for t, c in zip(texts[-40:], classes[-40:], strict=True)
    )


def test_labels_not_mentioned_is_the_last_class() -> None:
    s = scene(random.Random(5))
    assert captions.labels(s, []) == [len(NAMES[f]) for f in FIELDS]


def test_latent_cover_takes_the_largest_of_four_frames() -> None:
    cover = torch.zeros(5, 32, 32, dtype=torch.uint8)
    cover[3, :16, :16] = 255
    c = latent_cover(cover)
    assert c.shape == (2, 2, 2) and c[1, 0, 0] == 255 and c.sum() == 255


def test_atlas_of_other_sprites_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", rgba=np.zeros((1, 4, 96, 96), np.uint8), names=["fox"])
    with pytest.raises(ValueError, match="build it anew"):
        Atlas(tmp_path / "a.npz")


def test_subjects_large_list_continues_the_small_one() -> None:
    small, large = list(subjects.SMALL), list(subjects.LARGE)
    assert large[: len(small)] == small and 60 <= len(large) <= 100
    words = [w for _, synonyms in {**subjects.LARGE, **subjects.HELD_SUBJECTS}.values() for w in synonyms]
    words += [w for aliases in subjects.ALIASES.values() for w in aliases]
    assert len(words) == len(set(words)), "a word for two subjects"
    with pytest.raises(ValueError, match=r"BWCACHE_SUBJECTS must be one of small, large \(got huge\)"):
        subjects.chosen("huge")
