"""The words that a bundle lists are those of real training captions, no more and no fewer."""

import random

import pytest
import torch

from models.default import calibration, captions, vocabulary


def test_words_are_those_of_training_captions() -> None:
    rng, seen = random.Random(0), set()
    for _ in range(80_000):
        seen |= set(vocabulary.split(captions.caption(captions.scene(rng, "any"), rng, clean=True)[0]))
    assert vocabulary.words() == sorted(seen)


@pytest.mark.parametrize("word", ["owl", "tractor", "twirling", "sinking", "cinematic", "happy"])
def test_words_kept_for_evaluation_or_never_used_are_left_out(word: str) -> None:
    assert word not in vocabulary.words()


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("a fox meanders throgh the snow, cinematic", ["meanders", "throgh", "cinematic"]),
        ("a fox: in the snow. (at night)", []),
        ("a jack-o-lantern, a well-lit fox's snow-fox", ["well-lit", "fox's"]),
        ("zebra zebra", ["zebra"]),
        ("", []),
        ("fuchs fox, füchsin 狐", ["fuchs", "füchsin", "狐"]),
    ],
)
def test_unknown_words(text: str, wanted: list[str]) -> None:
    assert vocabulary.unknown(text, vocabulary.words()) == wanted


def test_attributes_follow_the_registers() -> None:
    rows = vocabulary.attributes(captions.NAMES, captions.CLASSES)
    assert [row["name"] for row in rows] == list(captions.FIELDS)
    assert tuple(len(row["classes"]) for row in rows) == captions.CLASSES


def test_attributes_of_other_registers_are_refused() -> None:
    with pytest.raises(ValueError, match=r"dit\.classes has"):
        vocabulary.attributes(captions.NAMES, (*captions.CLASSES[:-1], 7))
    with pytest.raises(ValueError, match=r"dit\.classes has"):
        vocabulary.attributes({k: v for k, v in captions.NAMES.items() if k != "relation"}, captions.CLASSES)


def test_words_of_a_checkpoint_are_its_own_or_the_grammars_or_unknown() -> None:
    assert vocabulary.words_of({"names": captions.NAMES, "words": ["b", "a"]}) == ["a", "b"]
    assert vocabulary.words_of({"names": captions.NAMES}) == vocabulary.words()
    assert vocabulary.words_of({"names": {**captions.NAMES, "subject": ["yak"]}}) is None
    assert vocabulary.words_of({}) is None


def test_calibration_counts_shares() -> None:
    sure = torch.tensor([[0.95, 0.5], [0.99, 0.3], [0.91, 0.89], [0.97, 0.2]])
    right = torch.tensor([[True, True], [False, False], [True, False], [True, False]])
    assert calibration.worth(sure, right, 0.9) == {
        "wrong": 0.5,
        "unsure": 0.5,
        "wrong_among_unsure": 0.75,
        "wrong_among_sure": 0.25,
        "unsure_among_wrong": 0.75,
    }
    assert calibration.worth(sure, right, 0.1)["wrong_among_unsure"] is None
