"""What the clips are about: sprites of Noto Color Emoji and the words for them.

Two lists, chosen by the environment variable BWCACHE_SUBJECTS, which worker processes inherit: `small` (the
default) for trainings on a CPU, `large` for a GPU. The large list begins with the small one, so its classes keep
their numbers.
"""

from __future__ import annotations

import os

Subjects = dict[str, tuple[int, list[str]]]  # name -> emoji code point, synonyms

# Sprites face left. Chosen for shapes that a 64-fold code can hold: glyphs of fine high contrast (striped fish,
# bus, ladybird) cost 2 to 5 dB under the sprite.
SMALL: Subjects = {
    "fox": (0x1F98A, ["fox", "red fox"]),
    "cat": (0x1F408, ["cat", "kitten", "kitty"]),
    "rabbit": (0x1F407, ["rabbit", "bunny", "hare"]),
    "elephant": (0x1F418, ["elephant"]),
    "penguin": (0x1F427, ["penguin"]),
    "dolphin": (0x1F42C, ["dolphin"]),
    "whale": (0x1F433, ["whale"]),
    "turtle": (0x1F422, ["turtle", "tortoise"]),
    "duck": (0x1F986, ["duck", "mallard"]),
    "frog": (0x1F438, ["frog", "toad"]),
    "snail": (0x1F40C, ["snail", "slug"]),
    "car": (0x1F697, ["car", "red car", "automobile"]),
    "horse": (0x1F40E, ["horse", "pony", "stallion"]),
    "train": (0x1F682, ["train", "locomotive", "steam train"]),
    "rocket": (0x1F680, ["rocket", "spaceship"]),
    "ufo": (0x1F6F8, ["ufo", "flying saucer"]),
    "balloon": (0x1F388, ["balloon", "red balloon"]),
    "apple": (0x1F34E, ["apple", "red apple"]),
    "bear": (0x1F43B, ["bear", "brown bear"]),
    "pumpkin": (0x1F383, ["pumpkin", "jack-o-lantern"]),
}
# Further names that captions of a training may use; those kept for evaluation draw from the lists above.
ALIASES = {
    "fox": ["fox cub"], "cat": ["house cat", "kitty cat"], "rabbit": ["bunny rabbit"], "elephant": ["baby elephant"],
    "penguin": ["emperor penguin"], "dolphin": ["bottlenose dolphin"], "whale": ["blue whale", "humpback whale"],
    "turtle": ["sea turtle"], "duck": ["duckling", "mallard duck"], "frog": ["froggy", "tree frog"],
    "car": ["sports car"], "horse": ["racehorse", "mare"], "train": ["train engine", "steam locomotive"],
    "rocket": ["rocket ship", "space rocket"], "ufo": ["alien ship", "alien spaceship", "alien spacecraft"],
    "bear": ["grizzly bear", "grizzly"], "pumpkin": ["halloween pumpkin"],
}  # fmt: skip
LARGE: Subjects = {
    **SMALL,
    "dog": (0x1F415, ["dog", "puppy"]),
    "cow": (0x1F404, ["cow"]),
    "pig": (0x1F416, ["pig", "piglet"]),
    "sheep": (0x1F411, ["sheep", "lamb"]),
    "goat": (0x1F410, ["goat"]),
    "camel": (0x1F42A, ["camel"]),
    "giraffe": (0x1F992, ["giraffe"]),
    "rhino": (0x1F98F, ["rhino", "rhinoceros"]),
    "mouse": (0x1F401, ["mouse"]),
    "squirrel": (0x1F43F, ["squirrel", "chipmunk"]),
    "hedgehog": (0x1F994, ["hedgehog"]),
    "rooster": (0x1F413, ["rooster", "cockerel"]),
    "chick": (0x1F425, ["chick", "baby chicken"]),
    "swan": (0x1F9A2, ["swan"]),
    "flamingo": (0x1F9A9, ["flamingo"]),
    "parrot": (0x1F99C, ["parrot"]),
    "snake": (0x1F40D, ["snake", "serpent"]),
    "dinosaur": (0x1F995, ["dinosaur"]),
    "fish": (0x1F41F, ["fish", "blue fish"]),
    "shark": (0x1F988, ["shark"]),
    "octopus": (0x1F419, ["octopus"]),
    "crab": (0x1F980, ["crab"]),
    "bee": (0x1F41D, ["bee", "bumblebee"]),
    "seal": (0x1F9AD, ["seal", "sea lion"]),
    "monkey": (0x1F412, ["monkey"]),
    "tiger": (0x1F405, ["tiger"]),
    "lion": (0x1F981, ["lion"]),
    "panda": (0x1F43C, ["panda"]),
    "koala": (0x1F428, ["koala"]),
    "robot": (0x1F916, ["robot", "android"]),
    "fire engine": (0x1F692, ["fire engine", "fire truck"]),
    "taxi": (0x1F695, ["taxi", "cab", "yellow taxi"]),
    "truck": (0x1F69A, ["truck", "lorry"]),
    "police car": (0x1F693, ["police car", "patrol car"]),
    "scooter": (0x1F6F5, ["scooter", "moped"]),
    "airplane": (0x2708, ["airplane", "plane", "aeroplane"]),
    "helicopter": (0x1F681, ["helicopter", "chopper"]),
    "sailboat": (0x26F5, ["sailboat", "sailing boat"]),
    "banana": (0x1F34C, ["banana"]),
    "strawberry": (0x1F353, ["strawberry"]),
    "orange": (0x1F34A, ["orange", "tangerine"]),
    "lemon": (0x1F34B, ["lemon"]),
    "cherry": (0x1F352, ["cherry"]),
    "pear": (0x1F350, ["pear"]),
    "pineapple": (0x1F34D, ["pineapple"]),
    "mushroom": (0x1F344, ["mushroom", "toadstool"]),
    "cactus": (0x1F335, ["cactus"]),
    "basketball": (0x1F3C0, ["basketball", "ball"]),
    "umbrella": (0x2602, ["umbrella"]),
    "present": (0x1F381, ["present", "gift"]),
    "bell": (0x1F514, ["bell"]),
    "snowman": (0x26C4, ["snowman"]),
}
MIRRORED = ("rocket", "airplane")  # drawn facing right in the font
# Never trained on: they document what the model does with a subject that it has not seen.
HELD_SUBJECTS: Subjects = {
    "owl": (0x1F989, ["owl"]),
    "tractor": (0x1F69C, ["tractor"]),
    "star": (0x2B50, ["star"]),
}
LISTS = {"small": SMALL, "large": LARGE}


def chosen(name: str | None = None) -> str:
    """The list in use. Throws ValueError for a name that is none."""
    name = name or os.environ.get("BWCACHE_SUBJECTS", "small")
    if name not in LISTS:
        raise ValueError(f"BWCACHE_SUBJECTS must be one of {', '.join(LISTS)} (got {name})")
    return name


SUBJECTS = LISTS[chosen()]
