"""Write short requests of many kinds, unequally many of each and half of them near copies: ordinary data, in small.

A class is something done to something: a verb and a thing of one topic. A text names both in a sentence of one of some
forms, and then speaks of another verb or thing of the same topic, so that words alone mislead. The class of rank r has
about 1 / r**skew of the rows, one at least. Near copies are those of :func:`ray_subsel.synthetic.noise.near_copy`, of
few originals more often than of others.
"""

from __future__ import annotations

import argparse
import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ray_subsel.config.options import flag_number, flag_whole
from ray_subsel.core.errors import InputError, invalid
from ray_subsel.core.types import Indices
from ray_subsel.storage.filesystems import open_filesystem
from ray_subsel.synthetic.noise import near_copy
from ray_subsel.synthetic.words import ADJECTIVES, FIRST_NAMES, TIMES, TOPICS

MOST_CLASSES = sum(len(topic.verbs) * len(topic.things) for topic in TOPICS)

FORMS = (
    "{name} {verb} the {adjective} {thing} {place}.",
    "{time}, the {thing} was {verb} {place} by {name}.",
    "Who {verb} my {thing} {place}?",
    "Please find out whether {name} {verb} {article} {thing} {time_small}.",
    "Has the {adjective} {thing} been {verb} {place} yet?",
    "The {thing} that {name} {verb} {place} is the {adjective} one.",
)
ASIDES = (
    "Nobody {other_verb} the {other_thing} this time.",
    "It has nothing to do with the {other_thing}.",
    "Last week somebody {other_verb} another one.",
    "The {other_thing} can wait.",
    "{name} had wanted it {other_verb} instead.",
    "",
)


@dataclass(frozen=True)
class Intent:
    """A row.

    Attributes
    ----------
    text : str
    label : str
        Its class: the verb and the thing.
    kind : str
        ``original`` or ``near``.
    """

    text: str
    label: str
    kind: str


def make_intents(
    rows: int, classes: int = 48, *, near: float = 0.6, skew: float = 1.0, strength: float = 0.15, seed: int = 0
) -> list[Intent]:
    """Return rows in random order.

    Parameters
    ----------
    rows : int
        At least 1.
    classes : int
        In [1, 512].
    near : float
        Share of the rows that are near copies, in [0, 1).
    skew : float
        0 gives every class the same.
    strength : float
        Of the near copies' noise.
    seed : int
        Of the texts. The classes and what their rank is do not depend on it, so files of several seeds go together.

    Raises
    ------
    InputError
    """
    if rows < 1:
        raise invalid("rows", "be at least 1", rows)
    if not 1 <= classes <= MOST_CLASSES:
        raise invalid("classes", f"lie in [1, {MOST_CLASSES}]", classes)
    if not 0 <= near < 1:
        raise invalid("near", "lie in [0, 1)", near)
    kinds = [(topic, verb, thing) for topic in range(len(TOPICS)) for verb in range(8) for thing in range(8)]
    order = np.random.default_rng(7).permutation(len(kinds))[:classes]
    draw = np.random.default_rng([seed, rows])
    copies = int(near * rows)
    labels = _labels(rows - copies, classes, skew, draw)
    made = [_text(kinds[order[label]], draw) for label in labels.tolist()]
    found = [Intent(text, label, "original") for text, label in made]
    popular = 1.0 / np.arange(1, len(found) + 1)
    popular = draw.permutation(popular) / popular.sum()
    sources = draw.choice(len(found), size=copies, p=popular)
    found += [Intent(near_copy(found[at].text, draw, strength), found[at].label, "near") for at in sources.tolist()]
    return [found[at] for at in draw.permutation(len(found)).tolist()]


def _labels(rows: int, classes: int, skew: float, draw: np.random.Generator) -> Indices:
    """Return a class for each row; every class has one, where there are enough rows."""
    shares = 1.0 / np.arange(1, classes + 1) ** skew
    first = np.arange(min(rows, classes))
    return np.concatenate((first, draw.choice(classes, size=rows - first.size, p=shares / shares.sum())))


def _text(kind: tuple[int, int, int], draw: np.random.Generator) -> tuple[str, str]:
    """Return a text of a class, which is the numbers of a topic, a verb and a thing, and the class."""
    topic, verb, thing = TOPICS[kind[0]], kind[1], kind[2]

    def one(words: Sequence[str]) -> str:
        return words[int(draw.integers(len(words)))]

    time, noun = one(TIMES), topic.things[thing]
    words = {
        "name": one(FIRST_NAMES),
        "verb": topic.verbs[verb],
        "thing": noun,
        "article": f"an {noun}" if noun[0] in "aeiou" else f"a {noun}",
        "adjective": one(ADJECTIVES),
        "place": one(topic.places),
        "time": time,
        "time_small": time[0].lower() + time[1:],
        "other_verb": topic.verbs[(verb + 1 + int(draw.integers(7))) % 8],
        "other_thing": topic.things[(thing + 1 + int(draw.integers(7))) % 8],
    }
    form = one(FORMS).replace("{article} {thing}", "{article}")
    text = f"{form.format_map(words)} {one(ASIDES).format_map(words)}".strip()
    return text[0].upper() + text[1:], f"{topic.verbs[verb]} {noun}"


def write_intents(path: str, intents: Sequence[Intent]) -> None:
    """Write rows as a CSV file with columns text, label and kind, to a local path or a URI that pyarrow writes."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(("text", "label", "kind"))
    writer.writerows((one.text, one.label, one.kind) for one in intents)
    filesystem, inner = open_filesystem(path)
    try:
        filesystem.create_dir(inner.rsplit("/", 1)[0], recursive=True)
        with filesystem.open_output_stream(inner, compression=None) as stream:
            stream.write(buffer.getvalue().encode())
    except OSError as error:
        raise invalid("out", "be a file that can be written", path, f"({error})") from error


def main(arguments: Sequence[str] | None = None) -> None:
    """Write requests, as the command line asks."""
    parser = argparse.ArgumentParser(prog="python -m ray_subsel.synthetic.intents", description="Write demo requests.")
    parser.add_argument("--rows", type=flag_whole, default=2000, help="rows (default: %(default)s)")
    parser.add_argument("--classes", type=flag_whole, default=48, help="classes (default: %(default)s)")
    parser.add_argument("--near", type=flag_number, default=0.6, help="share of near copies (default: %(default)s)")
    parser.add_argument(
        "--skew", type=flag_number, default=1.0, help="how unequal classes are; 0 equal (default: %(default)s)"
    )
    parser.add_argument("--seed", type=flag_whole, default=0, help="seed of the texts (default: %(default)s)")
    parser.add_argument("--out", required=True, help="CSV file to write")
    options = parser.parse_args(arguments)
    try:
        rows = make_intents(options.rows, options.classes, near=options.near, skew=options.skew, seed=options.seed)
        write_intents(options.out, rows)
    except InputError as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
