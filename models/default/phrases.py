"""How the attributes of a scene are worded (data alone): what training says, and what only the evaluation says.

The first phrase of a class is its plain wording (`captions.canonical`). A class has many phrases, since a reader of
three learns them by heart and stumbles over a fourth.
"""

from __future__ import annotations


def _with(verbs: str, ways: str) -> list[str]:
    """Every verb with every way: people join them freely."""
    return [f"{verb} {way}" for verb in verbs.split(", ") for way in ways.split(", ")]


_TRAVEL = (
    "moving, going, walking, running, flying, driving, swimming, crawling, drifting, heading, travelling, rolling, "
    "racing, galloping, trotting, gliding"
)


def _across(start: str, end: str) -> list[str]:
    """Phrases for a way across the picture; the first two are the plain ones."""
    ways = (
        f"from {start} to {end}, {start} to {end}, from the {start} to the {end}, to the {end}, {end}, {end}wards, "
        f"towards the {end}, off to the {end}"
    )
    plain = [f"moving from {start} to {end}", f"crossing from {start} to {end}"]
    return list(dict.fromkeys([*plain, *_with(_TRAVEL, ways)]))


MOTIONS = {
    "left to right": _across("left", "right"),
    "right to left": _across("right", "left"),
    "rising": [
        "rising", "climbing", "ascending", "taking off", "lifting off", "launching", "blasting off",
        "going up into the air", "moving upwards",
        *_with("moving, going, flying, floating, swimming, drifting, shooting, rising", "up, up into the sky, up high"),
        *_with("flying, floating, climbing, rising", "upwards, higher, into the air, into the sky"),
    ],
    "falling": [
        "falling", "dropping", "descending", "diving", "plunging", "landing", "falling from the sky",
        "falling to the ground", "dropping to the ground", "diving down",
        *_with("moving, going, coming, falling, dropping, tumbling, sliding, floating, flying", "down"),
        *_with("moving, falling, drifting, dropping, tumbling", "downwards, down from the sky, down to the ground"),
    ],
    "bouncing": [
        "bouncing", "jumping", "jumping up and down", "bouncing on the ground", "hopping", "hopping up and down",
        "leaping", "jumping around", "dancing", "hopping around", "skipping", "bouncing around", "jumping for joy",
        "bobbing up and down", "leaping up and down", "leaping about", "hopping along", "bouncing along",
    ],
    "circling": [
        "circling", "making circles", "orbiting", "flying loops", "doing loops", "looping",
        *_with("moving, going, flying, running, swimming, driving, walking, galloping, racing", "in circles"),
        *_with("moving, going, flying, running, swimming, driving", "in a circle, round in circles, around in circles"),
    ],
    "spinning": [
        "spinning", "rotating", "turning round and round", "spinning around", "whirling", "turning on the spot",
        "spinning in place", "turning in place", "spinning round", "turning round", "turning", "revolving",
        "swirling", "pirouetting", "spinning like a top", "spinning on the spot", "doing pirouettes",
        "whirling around", "rotating slowly", "spinning fast",
    ],
    "growing": [
        "growing", "getting bigger", "growing bigger", "getting larger", "drawing near", "nearing", "swelling",
        "expanding", "getting closer",
        *_with("coming, moving, running, flying, driving, walking", "closer, nearer, towards us, towards the camera"),
        *_with("coming, running, flying, swimming, rolling", "at us, at the camera, towards the viewer, right at me"),
    ],
    "shrinking": [
        "shrinking", "going away", "getting smaller", "getting tiny", "growing smaller",
        "moving far away", "getting farther away", "leaving", "moving off", "going farther away",
        "vanishing in the distance", "departing", "disappearing into the distance", "disappearing",
        *_with("running, flying, driving, walking, swimming, rolling", "away, off into the distance, away from us"),
        *_with("going, running, flying, driving", "away from the camera, into the distance, far away"),
    ],
    "still": [
        "standing still", "resting", "not moving", "staying still", "motionless", "sitting still",
        "standing around", "standing there", "waiting", "at rest", "stationary", "sitting there", "sitting",
        "sleeping", "lying there", "posing", "parked", "frozen", "asleep", "hovering", "idling", "lying down",
        *_with("sitting, standing, lying, waiting, resting, sleeping", "quietly, peacefully, alone, perfectly still"),
    ],
}  # fmt: skip
# These phrases differ from their opposites in word order alone: they are what a reader without position
# sense gets wrong, so they have a share of their own in training and a gate before it (train_text.py).
ORDER_ONLY = {m: [p for p in MOTIONS[m] if "left" in p and "right" in p] for m in ("left to right", "right to left")}
# What a motion's first word is without "is": "a fox runs".
FINITE = {
    "ascending": "ascends", "blasting": "blasts", "bobbing": "bobs", "bouncing": "bounces", "circling": "circles",
    "climbing": "climbs", "coming": "comes", "crawling": "crawls", "crossing": "crosses", "dancing": "dances",
    "departing": "departs", "descending": "descends", "disappearing": "disappears", "diving": "dives", "doing": "does",
    "drawing": "draws", "drifting": "drifts", "driving": "drives", "dropping": "drops", "expanding": "expands",
    "falling": "falls", "floating": "floats", "flying": "flies", "galloping": "gallops", "getting": "gets",
    "gliding": "glides", "going": "goes", "growing": "grows", "heading": "heads", "hopping": "hops",
    "hovering": "hovers", "idling": "idles", "jumping": "jumps", "landing": "lands", "launching": "launches",
    "leaping": "leaps", "leaving": "leaves", "lifting": "lifts", "looping": "loops", "lying": "lies",
    "making": "makes", "moving": "moves", "nearing": "nears", "orbiting": "orbits", "passing": "passes",
    "pirouetting": "pirouettes", "plunging": "plunges", "posing": "poses", "racing": "races", "resting": "rests",
    "revolving": "revolves", "rising": "rises", "rolling": "rolls", "rotating": "rotates", "running": "runs",
    "shooting": "shoots", "shrinking": "shrinks", "sitting": "sits", "skipping": "skips", "sleeping": "sleeps",
    "sliding": "slides", "spinning": "spins", "standing": "stands", "staying": "stays", "swelling": "swells",
    "swimming": "swims", "swirling": "swirls", "taking": "takes", "travelling": "travels", "trotting": "trots",
    "tumbling": "tumbles", "turning": "turns", "vanishing": "vanishes", "waiting": "waits", "walking": "walks",
    "wandering": "wanders", "whirling": "whirls",
}  # fmt: skip
BACKGROUNDS = {
    "hills": [
        "in the hills", "over green hills", "in front of rolling hills", "on a hill", "among green hills",
        "through the hills", "across the hills", "over the hills", "over a hill",
    ],
    "mountains": [
        "in the mountains", "in front of mountains", "below snowy peaks", "near the mountains", "on a mountain",
        "over the mountains", "through the mountains", "across the mountains", "high in the mountains",
    ],
    "desert": [
        "in the desert", "over sand dunes", "in a sandy desert", "in a desert", "on the sand", "through the desert",
        "across the desert", "over the desert", "across the sand",
    ],
    "sea": [
        "at sea", "over the ocean", "on the water", "on the sea", "over the waves", "over the sea",
        "across the sea", "across the ocean", "over the water", "across the water",
    ],
    "forest": [
        "in the forest", "in front of a forest", "in the woods", "in a forest", "between trees",
        "through the forest", "through a forest", "through the woods", "in the jungle",
        "among trees",
    ],
    "meadow": [
        "in a meadow", "on a grassy field", "over a flower meadow", "in the grass", "on the meadow",
        "in a field of flowers", "through a meadow", "across a field", "in a field", "in the park", "in a garden",
        "over the grass", "through the grass", "across the meadow",
    ],
    "snow": [
        "in the snow", "on a snowy plain", "in a winter landscape", "on the snow", "in a snowy landscape",
        "through the snow", "across the snow", "over the snow", "in winter", "through a snowy landscape",
    ],
    "city": [
        "in the city", "in front of skyscrapers", "in a town", "in a city", "between skyscrapers",
        "through the city", "through a city", "on the street", "in the streets", "downtown", "over the city",
        "through the streets",
    ],
    "space": [
        "in space", "in outer space", "on the moon", "in deep space", "through space",
        "among the stars", "between the stars", "through outer space", "in the cosmos",
    ],
    "underwater": [
        "underwater", "under the sea", "on the sea floor", "below the water", "under the waves", "deep in the sea",
        "under the ocean", "in the deep sea",
    ],
}  # fmt: skip
LIGHTS = {
    "day": [
        "at noon", "in daylight", "on a sunny day", "during the day", "in the sunshine", "in bright daylight",
        "on a bright day", "by daylight", "in full daylight", "in the daytime", "in the morning", "at midday",
        "in the afternoon", "in sunlight", "in the sun", "under a blue sky",
    ],
    "sunset": [
        "at sunset", "at dusk", "in the evening light", "in the late evening", "at sundown", "on a golden evening",
        "in the light of the sunset", "in the early evening", "in the evening sun", "this evening",
        "during the evening", "at dawn", "at sunrise", "at twilight", "in the golden hour", "during sunset",
        "in the setting sun",
    ],
    "night": [
        "at night", "in moonlight", "in the dark", "by night", "at midnight", "during the night", "on a dark night",
        "in the moonlight", "at night time", "late at night", "in the dark night", "under the stars",
        "under the moon", "after dark", "in darkness", "under a starry sky",
    ],
    "fog": [
        "in fog", "on a foggy day", "in the mist", "in the fog", "in thick fog", "on a misty day", "in foggy air",
        "in dense fog", "in foggy weather", "in misty light", "in a foggy mist", "through the fog",
        "through the mist", "in mist", "in the haze",
    ],
}  # fmt: skip
CAMERAS = {
    "static": [
        "static camera", "fixed camera", "the camera does not move", "static shot", "the camera stands still",
        "still camera", "camera stays still", "fixed shot", "no camera movement",
    ],
    "pan left": [
        "camera pans left", "the camera is panning left", "panning left", "camera moves to the left", "pan left",
        "the camera pans left", "camera panning left", "camera pan left", "pan to the left", "panning to the left",
        "camera moves left", "camera panning to the left",
    ],
    "pan right": [
        "camera pans right", "the camera is panning right", "panning right", "camera moves to the right",
        "pan right", "the camera pans right", "camera panning right", "camera pan right", "pan to the right",
        "panning to the right", "camera moves right", "camera panning to the right",
    ],
    "zoom in": [
        "camera zooms in", "zooming in", "slow zoom in", "zoom in", "the camera is zooming in", "the camera zooms in",
        "camera zooming in", "camera zoom in", "camera moves in", "camera pushes in", "push in",
    ],
    "zoom out": [
        "camera zooms out", "zooming out", "slow zoom out", "zoom out", "the camera is zooming out",
        "the camera zooms out", "camera zooming out", "camera zoom out", "camera moves back", "camera pulls back",
        "pull back",
    ],
}  # fmt: skip
WEATHERS = {
    "clear": ["in clear weather", "without rain", "in dry weather", "under a clear sky", "in fine weather"],
    "rain": [
        "in the rain", "while it rains", "on a rainy day", "while it is raining", "in heavy rain", "with rain",
        "in wet weather", "in light rain", "in pouring rain", "through the rain", "in a storm", "in a thunderstorm",
        "with rain falling", "in a downpour",
    ],
    "snowfall": [
        "in falling snow", "while it snows", "with snowflakes", "while it is snowing", "in snowy weather",
        "while snow falls", "with falling snowflakes", "in light snowfall", "during a snowfall", "in a snowstorm",
        "in a blizzard", "in heavy snowfall", "with snow falling", "with snow coming down",
    ],
}  # fmt: skip
# What two classes have in common, said in partial and short captions: the model then takes one of the two.
OPEN = {
    "motion": (
        ("left to right", "right to left"),
        ["running", "walking", "flying", "driving", "swimming", "moving", "travelling", "racing", "galloping",
         "wandering", "passing"],
    ),
    "background": (("sea", "underwater"), ["in the sea", "in the ocean", "in the water", "through the water"]),
}  # fmt: skip
# Light and rain as adjectives of the place: "in the foggy forest".
LIT = {
    "day": ("sunny", "sunlit"), "night": ("moonlit", "starlit"), "fog": ("foggy", "misty", "hazy"),
    "rain": ("rainy", "stormy"),
}  # fmt: skip
# Who stays in place does so in no place that begins with these.
WAYS = ("through ", "across ")
STAYING = ("still", "spinning")
RELATIONS = {
    "left of": ["to the left of", "left of", "on the left side of", "on the left of"],
    "right of": ["to the right of", "right of", "on the right side of", "on the right of"],
}
BESIDE = ["and", "next to", "beside", "with"]  # a second subject whose side is not said
# What people add and the model has nothing for. A caption of training may hold it, so that it is ignored.
ADJECTIVES = (
    "big", "small", "little", "tiny", "huge", "giant", "cute", "funny", "happy", "sad", "old", "young", "beautiful",
    "lovely", "playful", "lonely", "white", "black", "brown", "blue", "green", "yellow", "orange", "pink", "golden",
    "shiny", "fluffy", "furry", "wild", "lazy", "curious", "brave", "majestic", "colorful", "magical", "friendly",
)  # fmt: skip
STYLES = (
    "cartoon", "cartoon style", "cinematic", "4k", "hd", "watercolor", "anime", "pixel art", "3d render", "digital art",
    "photorealistic", "realistic", "highly detailed", "high quality", "kawaii", "oil painting", "cute", "funny",
    "beautiful", "masterpiece", "vivid colors", "pastel colors", "for kids", "storybook style", "claymation", "epic",
    "please", "comic style", "simple", "flat colors", "soft light",
)  # fmt: skip
# Further wordings of a pair: on which side each stands.
ASIDE = (
    "on the {side} and {other} on the {opposite}", "on the {side}, {other} on the {opposite}",
    "with {other} on its {opposite}", "with {other} to its {opposite}", "with {other} on the {opposite} of it",
)  # fmt: skip
PHRASES = {
    "motion": MOTIONS,
    "background": BACKGROUNDS,
    "light": LIGHTS,
    "camera": CAMERAS,
    "weather": WEATHERS,
    "relation": RELATIONS,
}
# Paraphrases kept for evaluation.
HELD_PHRASES = {
    "motion": {
        "left to right": ["heading from the left side to the right side"],
        "right to left": ["heading from the right side to the left side"],
        "rising": ["going upwards"],
        "falling": ["sinking down"],
        "bouncing": ["bouncing up and down"],
        "circling": ["circling around"],
        "spinning": ["twirling", "turning around"],
        "growing": ["approaching", "becoming bigger"],
        "shrinking": ["moving away", "becoming smaller"],
        "still": ["staying in place", "standing"],
    },
    "background": {
        "hills": ["on green hills"],
        "mountains": ["near snowy mountains"],
        "desert": ["on desert sand"],
        "sea": ["above the sea", "on the ocean"],
        "forest": ["near a forest"],
        "meadow": ["on a meadow with flowers"],
        "snow": ["on snowy ground"],
        "city": ["in front of a city"],
        "space": ["in the depths of space"],
        "underwater": ["under water"],
    },
    "light": {"day": ["by day"], "sunset": ["in the evening"], "night": ["in the night"], "fog": ["in foggy light"]},
    "camera": {
        "static": ["the camera is fixed"],
        "pan left": ["the camera pans to the left"],
        "pan right": ["the camera pans to the right"],
        "zoom in": ["the camera zooms in slowly"],
        "zoom out": ["the camera zooms out slowly"],
    },
    "weather": {"clear": ["with clear weather"], "rain": ["in rainy weather"], "snowfall": ["in a snowfall"]},
    "relation": {"left of": ["at the left of"], "right of": ["at the right of"]},
}
