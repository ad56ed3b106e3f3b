"""Scene attributes, the caption grammar and the held-out split (no torch needed).

A scene is a dict with one value per field; `second` and `relation` are None where there is one subject.
`caption` words a scene and says which fields it mentioned; `labels` turns that into classes.
Scenes with a held-out pair (held_out.json) are never rendered for training, and held phrases and
held-back subjects are never worded or drawn in it: they are for evaluation alone.
"""

from __future__ import annotations

import json
import random
from pathlib import Path

from .phrases import (
    ADJECTIVES,
    ASIDE,
    BACKGROUNDS,
    BESIDE,
    CAMERAS,
    FINITE,
    HELD_PHRASES,
    LIGHTS,
    LIT,
    MOTIONS,
    OPEN,
    ORDER_ONLY,
    PHRASES,
    RELATIONS,
    STAYING,
    STYLES,
    WAYS,
    WEATHERS,
)
from .subjects import ALIASES, HELD_SUBJECTS, SUBJECTS

Scene = dict[str, str | None]

FIELDS = ("subject", "motion", "background", "light", "camera", "weather", "second", "relation")
NAMES: dict[str, list[str]] = {
    "subject": list(SUBJECTS),
    **{f: list(PHRASES[f]) for f in FIELDS if f in PHRASES},
    "second": list(SUBJECTS),
}
DESCRIBED = ("motion", "background", "light", "camera", "weather")  # what a caption may say beside the subjects
CLASSES = tuple(len(NAMES[f]) for f in FIELDS)
ALL_SUBJECTS = {**SUBJECTS, **HELD_SUBJECTS}
SPRITES = list(ALL_SUBJECTS)  # the order of the atlas
# Only motions that leave the other half of the picture to the second subject.
PAIR_MOTIONS = ("rising", "falling", "bouncing", "spinning", "growing", "shrinking", "still")
DRY = ("space", "underwater")  # no weather there
PAIR_SHARE = 0.15
OPENINGS = ("a cartoon of ", "a video of ", "an animation of ", "a clip of ")
# Those of training alone.
REQUESTS = ("show me ", "make a video of ", "video of ", "create a clip of ", "please make ", "i want to see ")
GLUE = ("a", "an", "the", "is", "its", "of", "it", "while", "as")  # what stands between the phrases


def texts(held: bool = False) -> list[str]:
    """Whatever captions are put together from, but for typos and what is to be ignored; held: what evaluation alone
    says too."""
    tables = (PHRASES, HELD_PHRASES) if held else (PHRASES,)
    phrases = [p for table in tables for classes in table.values() for options in classes.values() for p in options]
    nouns = [n for _, synonyms in (ALL_SUBJECTS if held else SUBJECTS).values() for n in synonyms]
    nouns += [n for aliases in ALIASES.values() for n in aliases]
    shared = [p for _, options in OPEN.values() for p in options]
    adjectives = [word for words in LIT.values() for word in words]
    return [*phrases, *shared, *adjectives, *FINITE.values(), *nouns, *BESIDE, *OPENINGS, *REQUESTS, *GLUE]


_WORDS = frozenset(word for text in texts(held=True) for word in text.split())


def _held_pairs() -> frozenset[tuple[str, str]]:
    pairs = json.loads((Path(__file__).parent / "held_out.json").read_text())
    return frozenset((a, b) for kind in ("subject_motion", "subject_background") for a, b in pairs[kind])


HELD_PAIRS = _held_pairs()


def held_out(s: Scene) -> bool:
    """True where any subject of the scene meets a motion or background that it is never trained with."""
    pairs = {(s["subject"], s["motion"]), (s["subject"], s["background"])}
    if s["second"]:
        pairs |= {(s["second"], "still"), (s["second"], s["background"])}
    return not HELD_PAIRS.isdisjoint(pairs)


def _draw(rng: random.Random, pairs: float) -> Scene:
    s: Scene = {f: rng.choice(NAMES[f]) for f in ("subject", "motion", "background", "light", "camera")}
    if rng.random() < 0.25:
        s["camera"] = "static"
    wet = rng.random() < 0.25 and s["background"] not in DRY and s["light"] != "fog"
    s["weather"] = rng.choice(("rain", "snowfall")) if wet else "clear"
    s["second"] = s["relation"] = None
    if rng.random() < pairs:
        s["motion"] = rng.choice(PAIR_MOTIONS)
        s["second"] = rng.choice([n for n in NAMES["second"] if n != s["subject"]])
        s["relation"] = rng.choice(NAMES["relation"])
    return s


def scene(rng: random.Random, split: str = "train", pairs: float = PAIR_SHARE) -> Scene:
    """pairs: share of scenes with a second subject.
    split: 'train' (no held-out pair), 'held' (only those), 'any', or 'unseen' (held-back subjects)."""
    if split not in ("train", "held", "any", "unseen"):
        raise ValueError(f"split must be train, held, any or unseen (got {split})")
    while True:
        s = _draw(rng, pairs)
        if split == "unseen":
            s["subject"] = rng.choice(list(HELD_SUBJECTS))
        if split in ("any", "unseen") or held_out(s) == (split == "held"):
            return s


def _article(noun: str, rng: random.Random) -> str:
    r = rng.random()
    if r < 0.75:
        return ("an " if noun[0] in "aeiou" else "a ") + noun
    return ("the " if r < 0.9 else "") + noun


def _noun(name: str, rng: random.Random, held: bool) -> str:
    """'a fox'; in a training now and then by a further name."""
    if not held and name in ALIASES and rng.random() < 0.12:
        return _article(rng.choice(ALIASES[name]), rng)
    return _article(rng.choice(ALL_SUBJECTS[name][1]), rng)


def _described(noun: str, rng: random.Random) -> str:
    """'a happy fox', 'my fox': with a word that the model has nothing for."""
    first, _, rest = noun.partition(" ")
    if first not in ("a", "an", "the"):
        first, rest = "", noun
    if rng.random() < 0.15:
        return f"{rng.choice(('my', 'one', 'this', 'our'))} {rest}"
    adjective = rng.choice(ADJECTIVES)
    if first in ("a", "an"):
        first = "an" if adjective[0] in "aeiou" else "a"
    return f"{first} {adjective} {rest}".strip()


def _typo(text: str, rng: random.Random) -> str:
    """One word with two neighbouring letters swapped, or one dropped or doubled; never to another word of the captions
    ("frog" to "fog")."""
    words = text.split(" ")
    long = [i for i, w in enumerate(words) if len(w) > 3 and w.isalpha()]
    if not long:
        return text
    i = rng.choice(long)
    w, k = words[i], rng.randrange(1, len(words[i]) - 2)
    words[i] = w[:k] + rng.choice((w[k + 1] + w[k] + w[k + 2 :], w[k + 1 :], w[k] + w[k:]))
    return text if words[i] in _WORDS else " ".join(words)


def _made_up(rng: random.Random) -> str:
    """A word that no caption means anything by."""
    while True:
        syllables = [rng.choice("bcdfghjklmnprstvwz") + rng.choice("aeiou") for _ in range(rng.randint(1, 3))]
        word = "".join(syllables) + rng.choice(("", "l", "n", "r", "s", "t"))
        if word not in _WORDS:
            return word


def _stray(text: str, rng: random.Random) -> str:
    """Words of style behind it, or one to three made-up ones put in: people write many that the model does not know."""
    if rng.random() < 0.5:
        return ", ".join([text.rstrip("."), *rng.sample(STYLES, rng.choice((1, 1, 2)))])
    words = text.split(" ")
    for _ in range(rng.randint(1, 3)):
        words.insert(rng.randint(0, len(words)), _made_up(rng) + ("," if rng.random() < 0.15 else ""))
    return " ".join(words)


def _bare(phrase: str) -> str:
    """'in the forest' -> 'forest', 'in front of mountains' -> 'mountains'"""
    words = phrase.removeprefix("in front of ").split(" ")
    while len(words) > 1 and words[0] in ("in", "on", "at", "with", "a", "an", "the"):
        words = words[1:]
    return " ".join(words)


def _terse(s: Scene, rng: random.Random) -> tuple[str, list[str]]:
    """'whale rising sea fog', 'whale flying up, stormy, ocean' and the fields that this mentions."""
    kept = [f for f in DESCRIBED if s[f] not in ("static", "clear") and rng.random() < 0.5]
    rng.shuffle(kept)
    words = [str(s[f]) for f in kept]
    if rng.random() < 0.6:
        words = [_bare(rng.choice([*PHRASES[f][str(s[f])], *LIT.get(str(s[f]), ())])) for f in kept]
    noun = rng.choice(ALL_SUBJECTS[s["subject"]][1])
    return rng.choice((" ", ", ")).join([noun, *words]), ["subject", *kept]


def _options(field: str, s: Scene, full: bool, rng: random.Random) -> list[str]:
    """The phrases of training that one is drawn from. A caption that is not full may leave open which of two classes
    it means."""
    value = str(s[field])
    if field == "motion" and value in ORDER_ONLY and rng.random() < 0.3:
        return ORDER_ONLY[value]
    classes, phrases = OPEN.get(field, ((), []))
    if value in classes and not full and rng.random() < 0.4:
        return phrases
    options = PHRASES[field][value]
    if field == "background" and s["motion"] in STAYING:
        options = [p for p in options if not p.startswith(WAYS)]
    return options


def _wordings(s: Scene, mode: str, rng: random.Random, held: bool) -> dict[str, str]:
    """A phrase for each field that this caption mentions."""
    if mode == "short":
        keep = [] if rng.random() < 0.5 else [rng.choice(("motion", "background", "light"))]
    else:
        chance = {"weather": 0.4 if s["weather"] == "clear" else 1.0}
        keep = [f for f in DESCRIBED if (mode == "full" or rng.random() < 0.55) and rng.random() < chance.get(f, 1.0)]
    out = {}
    for f in keep:
        options = _options(f, s, held or mode == "full", rng)  # for held ones too: they draw the same numbers as ever
        out[f] = rng.choice(HELD_PHRASES[f][s[f]] if held else options)
    if mode == "partial" and not held and rng.random() < 0.3:
        _light_the_place(out, s, rng)
    return out


def _light_the_place(said: dict[str, str], s: Scene, rng: random.Random) -> None:
    """'in the forest in fog' -> 'in the foggy forest'; a field that another one words is said by an empty phrase."""
    fields = [f for f in ("light", "weather") if f in said and s[f] in LIT]
    before, article, place = said.get("background", "").rpartition("the ")
    strange = (
        s["background"] == "space"
        or (s["weather"] != "clear" and "snow" in place)
        or (s["light"], s["weather"]) == ("day", "rain")
    )
    if fields and article and not strange:
        field = rng.choice(fields)
        said["background"] = f"{before}the {rng.choice(LIT[str(s[field])])} {place}"
        said[field] = ""


def aside(relation: str | None, other: str) -> list[str]:
    """'with a car on its right' for 'left of', and others."""
    side, opposite = ("left", "right") if relation == "left of" else ("right", "left")
    return [form.format(side=side, opposite=opposite, other=other) for form in ASIDE]


def _companion(s: Scene, rng: random.Random, held: bool) -> tuple[str, list[str]]:
    """' to the left of a car' and the fields that this mentions."""
    if not s["second"]:
        return "", []
    other = _noun(s["second"], rng, held)
    if rng.random() < 0.25:
        return f" {rng.choice(BESIDE)} {other}", ["second"]
    if not held and rng.random() < 0.3:
        return " " + rng.choice(aside(s["relation"], other)), ["second", "relation"]
    words = (HELD_PHRASES if held else PHRASES)["relation"][s["relation"]]
    return f" {rng.choice(words)} {other}", ["second", "relation"]


def _act(verb: str | None, rng: random.Random, finite: bool) -> str:
    """' is running to the left', ' running to the left' or, where it may be finite, ' runs to the left'"""
    if not verb:
        return ""
    r = rng.random()
    first, *rest = verb.split(" ")
    if 0.25 <= r < 0.45 and finite:
        return " " + " ".join([FINITE.get(first, first), *rest])
    return (" is " if r < 0.25 else " ") + verb


def _assemble(noun: str, companion: str, said: dict[str, str], rng: random.Random, held: bool = False) -> str:
    said = dict(said)
    camera, verb = said.pop("camera", None), said.get("motion")
    places = [said[f] for f in ("background", "light", "weather") if said.get(f)]
    if rng.random() < 0.4:
        rng.shuffle(places)
    act = _act(verb, rng, finite=not held and not companion)
    core = noun + (companion + act if rng.random() < 0.5 else act + companion)
    r = rng.random()
    if r < 0.55 or not places:
        text = " ".join([core, *places])
    elif r < 0.7:
        text = places[0] + ", " + " ".join([core, *places[1:]])
    elif r < 0.85:
        text = ", ".join([core, *places])
    else:
        text = noun + companion + " " + " ".join(places) + (", " + verb if verb else "")
    if rng.random() < 0.12 and act.endswith(verb or ""):  # not "a video of a fox runs"
        text = rng.choice(OPENINGS if held else (*OPENINGS, *REQUESTS)) + text
    if camera:
        joint = ", "
        if not held and rng.random() < 0.25:
            joint = rng.choice((" and ", " while ", " as ") if camera.startswith("the camera") else (" and ", " with "))
        text = camera + ": " + text if rng.random() < 0.15 else text + joint + camera
    return text + ("." if rng.random() < 0.2 else "")


def caption(
    s: Scene, rng: random.Random, mode: str | None = None, held: bool = False, clean: bool = False
) -> tuple[str, list[str]]:
    """One random wording and the fields it mentions. mode: 'full', 'partial', 'short' or None for the
    60/25/15 mixture and some of names alone; held: worded with the phrases kept for evaluation; clean, as held ones
    are: without words to ignore and typos."""
    if not (mode or held or s["second"]) and rng.random() < 0.08:
        return _terse(s, rng)
    mode = mode or rng.choices(("full", "partial", "short"), (60, 25, 15))[0]
    said = _wordings(s, mode, rng, held)
    companion, more = _companion(s, rng, held)
    noun = _noun(str(s["subject"]), rng, held)
    plain = held or clean
    if not plain and mode != "full" and rng.random() < 0.2:
        noun = _described(noun, rng)
    text, fields = _assemble(noun, companion, said, rng, held), ["subject", *said, *more]
    return (text if plain else _as_typed(text, mode, rng)), fields


def _as_typed(text: str, mode: str, rng: random.Random) -> str:
    """With words to ignore and typos."""
    if mode != "full" and rng.random() < 0.3:  # a full caption has no room for more words
        text = _stray(text, rng)
    while rng.random() < 0.18:
        text = _typo(text, rng)
    return text


def order_only(rng: random.Random, plain: bool = False) -> tuple[str, list[int]]:
    """A caption whose direction hangs on word order, and its labels. plain: in the two plain phrases of each, and with
    no direction of the camera beside it."""
    s = scene(rng, "any")
    s["motion"], s["second"], s["relation"] = rng.choice(list(ORDER_ONLY)), None, None
    said = {"motion": rng.choice(ORDER_ONLY[s["motion"]][: 2 if plain else None])}
    said |= {f: rng.choice(PHRASES[f][s[f]]) for f in ("background", "light") if rng.random() < 0.7}
    if not plain and rng.random() < 0.25:
        said["camera"] = rng.choice(PHRASES["camera"][str(s["camera"])])
    return _assemble(_noun(str(s["subject"]), rng, held=plain), "", said, rng), labels(s, ["subject", *said])


def labels(s: Scene, mentioned: list[str] | tuple[str, ...]) -> list[int]:
    """Class index per field; the last class means 'not mentioned'."""
    return [NAMES[f].index(s[f]) if f in mentioned else len(NAMES[f]) for f in FIELDS]


def canonical(s: Scene) -> str:
    """The plain wording used in demonstrations and tests."""
    n, other = str(s["subject"]), s["second"]
    text = f"{'an' if n[0] in 'aeiou' else 'a'} {n} {MOTIONS[s['motion']][0]}"
    if other:
        text += f" {RELATIONS[s['relation']][0]} {'an' if other[0] in 'aeiou' else 'a'} {other}"
    text += f" {BACKGROUNDS[s['background']][0]} {LIGHTS[s['light']][0]}"
    if s["weather"] != "clear":
        text += f" {WEATHERS[s['weather']][0]}"
    return f"{text}, {CAMERAS[s['camera']][0]}"


def mentioned(s: Scene) -> list[str]:
    """The fields that `canonical` words."""
    pair = ["second", "relation"] if s["second"] else []
    return ["subject", *(f for f in DESCRIBED if s[f] != "clear"), *pair]


if __name__ == "__main__":
    r = random.Random(0)
    for _ in range(20):
        print(caption(scene(r), r)[0])
