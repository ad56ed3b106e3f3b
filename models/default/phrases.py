"""How the attributes of a scene are worded (data alone): what training says, and what only the evaluation says.

The first phrase of a class is its plain wording (`captions.canonical`). A class has many phrases, since a reader of
three learns them by heart and stumbles over a fourth.
"""

from __future__ import annotations

MOTIONS = {
    "left to right": [
        "moving from left to right", "crossing from left to right", "going right", "moving to the right",
        "travelling rightwards", "going from left to right", "flying to the right", "running to the right",
        "drifting right", "heading right", "walking to the right", "walking right", "running right", "flying right",
        "driving to the right",
    ],
    "right to left": [
        "moving from right to left", "crossing from right to left", "going left", "moving to the left",
        "travelling leftwards", "going from right to left", "flying to the left", "running to the left",
        "drifting left", "heading left", "walking to the left", "walking left", "running left", "flying left",
        "driving to the left",
    ],
    "rising": [
        "rising", "moving up", "going up", "rising upwards", "floating up", "flying up", "climbing", "ascending",
        "moving upwards", "flying upwards", "taking off", "lifting off", "launching",
        "going up into the air", "flying up into the sky",
    ],
    "falling": [
        "falling", "moving down", "dropping", "falling down", "coming down", "descending", "dropping down",
        "tumbling down", "moving downwards", "diving", "plunging", "landing", "falling from the sky",
        "sliding down",
    ],
    "bouncing": [
        "bouncing", "jumping", "jumping up and down", "bouncing on the ground", "hopping", "hopping up and down",
        "leaping", "jumping around", "dancing", "hopping around", "skipping",
    ],
    "circling": [
        "circling", "moving in circles", "flying in a circle", "going in circles", "flying in circles",
        "moving in a circle", "going round in circles", "running in circles", "making circles", "flying loops",
        "orbiting", "running in a circle", "swimming in circles", "driving in circles",
    ],
    "spinning": [
        "spinning", "rotating", "turning round and round", "spinning around", "whirling", "turning on the spot",
        "spinning in place", "turning in place", "spinning round", "turning round", "turning", "revolving",
        "swirling", "pirouetting",
    ],
    "growing": [
        "growing", "coming closer", "getting bigger", "coming nearer", "getting closer", "growing bigger",
        "getting larger", "moving closer", "moving nearer", "coming towards the camera", "drawing near", "nearing",
        "running towards the camera", "moving towards us", "swelling", "expanding", "flying towards us",
    ],
    "shrinking": [
        "shrinking", "going away", "getting smaller", "getting tiny", "going far away", "growing smaller",
        "moving far away", "getting farther away", "leaving", "moving off", "going farther away", "running away",
        "flying away", "driving away", "vanishing in the distance", "departing",
    ],
    "still": [
        "standing still", "resting", "not moving", "staying still", "motionless", "sitting still",
        "standing around", "standing there", "waiting", "at rest", "stationary", "sitting there", "sitting",
        "sleeping", "lying there", "posing",
    ],
}  # fmt: skip
# These phrases differ from their opposites in word order alone: they are what a reader without position
# sense gets wrong, so they have a share of their own in training and a gate before it (train_text.py).
ORDER_ONLY = {m: MOTIONS[m][:2] for m in ("left to right", "right to left")}
# What a motion's first word is without "is": "a fox runs".
FINITE = {
    "ascending": "ascends", "bouncing": "bounces", "circling": "circles", "climbing": "climbs", "coming": "comes",
    "crossing": "crosses", "dancing": "dances", "departing": "departs", "descending": "descends", "diving": "dives",
    "drawing": "draws", "drifting": "drifts", "driving": "drives", "dropping": "drops", "expanding": "expands",
    "falling": "falls", "floating": "floats", "flying": "flies", "galloping": "gallops", "getting": "gets",
    "going": "goes", "growing": "grows", "heading": "heads", "hopping": "hops", "jumping": "jumps",
    "landing": "lands", "launching": "launches", "leaping": "leaps", "leaving": "leaves", "lifting": "lifts",
    "lying": "lies", "making": "makes", "moving": "moves", "nearing": "nears", "orbiting": "orbits",
    "passing": "passes", "pirouetting": "pirouettes", "plunging": "plunges", "posing": "poses",
    "racing": "races", "resting": "rests", "revolving": "revolves", "rising": "rises", "rotating": "rotates",
    "running": "runs", "shrinking": "shrinks", "sitting": "sits", "skipping": "skips", "sleeping": "sleeps",
    "sliding": "slides", "spinning": "spins", "standing": "stands", "staying": "stays",
    "swelling": "swells", "swimming": "swims", "swirling": "swirls", "taking": "takes", "travelling": "travels",
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
    ],
    "pan left": [
        "camera pans left", "the camera is panning left", "panning left", "camera moves to the left", "pan left",
    ],
    "pan right": [
        "camera pans right", "the camera is panning right", "panning right", "camera moves to the right",
        "pan right",
    ],
    "zoom in": ["camera zooms in", "zooming in", "slow zoom in", "zoom in", "the camera is zooming in"],
    "zoom out": ["camera zooms out", "zooming out", "slow zoom out", "zoom out", "the camera is zooming out"],
}  # fmt: skip
WEATHERS = {
    "clear": ["in clear weather", "without rain", "in dry weather", "under a clear sky", "in fine weather"],
    "rain": [
        "in the rain", "while it rains", "on a rainy day", "while it is raining", "in heavy rain", "with rain",
        "in wet weather", "in light rain", "in pouring rain", "through the rain", "in a storm", "in a thunderstorm",
    ],
    "snowfall": [
        "in falling snow", "while it snows", "with snowflakes", "while it is snowing", "in snowy weather",
        "while snow falls", "with falling snowflakes", "in light snowfall", "during a snowfall", "in a snowstorm",
        "in a blizzard",
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
# Who stays in place does so in no place that begins with these.
WAYS = ("through ", "across ")
STAYING = ("still", "spinning")
RELATIONS = {
    "left of": ["to the left of", "left of", "on the left side of", "on the left of"],
    "right of": ["to the right of", "right of", "on the right side of", "on the right of"],
}
BESIDE = ["and", "next to", "beside", "with"]  # a second subject whose side is not said
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
