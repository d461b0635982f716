"""Generate short reports of three sentences on one of eight topics.

A text is a function of its number and a seed. The first sentence spells the number, scrambled, in a mixed radix whose
digits are words, so texts of different numbers differ; the other sentences are drawn with the bits of a hash.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ray_subsel.core.hashing import mix
from ray_subsel.core.types import Indices
from ray_subsel.synthetic.scramble import scramble
from ray_subsel.synthetic.words import (
    ADJECTIVES,
    CLOSINGS,
    FIRST_NAMES,
    LAST_NAMES,
    MINUTES,
    MOODS,
    TIMES,
    TOPICS,
    Topic,
)

_DIGITS = (len(TOPICS), len(FIRST_NAMES), len(LAST_NAMES), len(ADJECTIVES), len(TIMES), 8, 8, 8)
"""Topic, first name, last name, adjective, time, and the topic's verb, object and place: the first sentence."""

CAPACITY = int(np.prod(np.array(_DIGITS, dtype=np.int64)))
"""How many texts there are whose first sentences differ."""

_DRAWS = 10


@dataclass(frozen=True)
class _Choice:
    """The words of one text, by number."""

    digits: list[int]
    draws: list[int]


def original_texts(numbers: Indices, seed: int) -> tuple[list[str], list[str]]:
    """Return the texts of some numbers in [0, :data:`CAPACITY`) and their topics, in the order of the numbers."""
    rest = scramble(numbers, CAPACITY, seed)
    digits = []
    for radix in _DIGITS:
        digits.append(rest % radix)
        rest = rest // radix
    drawn = [mix(numbers * _DRAWS + i, seed + 1) >> np.uint64(11) for i in range(_DRAWS)]
    columns_of_digits = np.stack(digits, axis=1).tolist()
    columns_of_draws = np.stack(drawn, axis=1).tolist()
    choices = [_Choice(d, r) for d, r in zip(columns_of_digits, columns_of_draws, strict=True)]
    return [_text(choice) for choice in choices], [TOPICS[choice.digits[0]].name for choice in choices]


def original_text(number: int, seed: int = 0) -> str:
    """Return the text of one number; different numbers, different texts."""
    return original_texts(np.array([number], dtype=np.int64), seed)[0][0]


def _text(choice: _Choice) -> str:
    topic_number, first, last, adjective, time, verb, thing, place = choice.digits
    topic = TOPICS[topic_number]
    name = f"{FIRST_NAMES[first]} {LAST_NAMES[last]}"
    opening = (
        f"{TIMES[time]}, {name} {topic.verbs[verb]} {_article(ADJECTIVES[adjective])} {topic.things[thing]} "
        f"{topic.places[place]}."
    )
    return f"{opening} {_second(topic, choice.draws)} {_third(topic, choice.draws)}"


def _second(topic: Topic, draws: list[int]) -> str:
    """Return who joined in, with what, for how long."""
    helper = topic.people[draws[0] % len(topic.people)]
    thing = topic.things[draws[1] % len(topic.things)]
    mood = MOODS[draws[2] % len(MOODS)]
    minutes = MINUTES[draws[3] % len(MINUTES)]
    adjective = ADJECTIVES[draws[4] % len(ADJECTIVES)]
    if draws[5] % 2:
        return f"{_article(helper).capitalize()} {mood} looked after the {adjective} {thing} for {minutes} minutes."
    return f"After {minutes} minutes the {helper} {mood} brought {_article(adjective)} {thing}."


def _third(topic: Topic, draws: list[int]) -> str:
    """Return how it ended."""
    place = topic.places[draws[6] % len(topic.places)]
    other = FIRST_NAMES[draws[7] % len(FIRST_NAMES)]
    verb = topic.verbs[draws[8] % len(topic.verbs)]
    closing = CLOSINGS[draws[9] % len(CLOSINGS)]
    return closing.format(other=other, verb=verb, place=place, thing=topic.things[draws[5] // 2 % len(topic.things)])


def _article(word: str) -> str:
    return f"an {word}" if word[0] in "aeiou" else f"a {word}"
