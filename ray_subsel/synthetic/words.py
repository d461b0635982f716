"""List the words of the grammar, written for this package."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Topic:
    """What texts of one topic speak of: eight verbs, things and places, and six people."""

    name: str
    verbs: tuple[str, ...]
    things: tuple[str, ...]
    places: tuple[str, ...]
    people: tuple[str, ...]


# fmt: off
TOPICS = (
    Topic(
        "harbor",
        ("repaired", "painted", "towed", "auctioned", "unloaded", "insured", "inspected", "anchored"),
        ("trawler", "anchor", "lifeboat", "mast", "container", "ferry", "compass", "net"),
        ("near the lighthouse", "at the northern pier", "behind the fish market", "under the crane",
         "off the breakwater", "beside the customs office", "in the dry dock", "along the quay"),
        ("pilot", "sailor", "diver", "dockworker", "captain", "fisherman"),
    ),
    Topic(
        "kitchen",
        ("baked", "roasted", "seasoned", "served", "sliced", "burned", "tasted", "reheated"),
        ("pie", "soup", "omelette", "casserole", "pudding", "loaf", "salad", "dumpling"),
        ("in the canteen", "at the food fair", "on the hotel terrace", "for the wedding party", "in a tiny bistro",
         "at the cooking school", "next to the bakery", "in the monastery"),
        ("cook", "waiter", "baker", "butcher", "guest", "apprentice"),
    ),
    Topic(
        "laboratory",
        ("measured", "cooled", "weighed", "calibrated", "photographed", "dissolved", "labelled", "heated"),
        ("sample", "crystal", "sensor", "microscope", "solution", "magnet", "laser", "culture"),
        ("in the basement lab", "at the polar station", "inside the vacuum chamber", "in room twelve",
         "at the university", "under the fume hood", "in the clean room", "beside the reactor"),
        ("chemist", "student", "professor", "technician", "biologist", "visitor"),
    ),
    Topic(
        "stadium",
        ("trained", "coached", "scouted", "cheered for", "filmed", "sponsored", "challenged", "replaced"),
        ("striker", "goalkeeper", "relay team", "referee", "sprinter", "wrestler", "mascot", "defender"),
        ("during the semifinal", "on the muddy pitch", "before the derby", "in extra time", "at the regional games",
         "in the empty arena", "after the parade", "at the winter camp"),
        ("coach", "fan", "reporter", "physiotherapist", "captain", "groundskeeper"),
    ),
    Topic(
        "orchestra",
        ("rehearsed", "tuned", "composed", "recorded", "conducted", "dedicated", "transcribed", "performed"),
        ("symphony", "violin", "overture", "sonata", "trumpet solo", "cello", "hymn", "waltz"),
        ("in the opera house", "at the summer festival", "in the rehearsal hall", "for the radio", "in the cathedral",
         "on an open stage", "at the conservatory", "behind the curtain"),
        ("conductor", "pianist", "singer", "drummer", "critic", "usher"),
    ),
    Topic(
        "farm",
        ("harvested", "fenced", "sheared", "watered", "planted", "milked", "sold", "weeded"),
        ("field", "orchard", "flock", "vineyard", "pasture", "goat", "greenhouse", "hedge"),
        ("below the windmill", "at the county show", "beyond the creek", "by the old barn", "on the southern slope",
         "near the beehives", "along the gravel road", "behind the silo"),
        ("farmer", "shepherd", "veterinarian", "miller", "neighbor", "beekeeper"),
    ),
    Topic(
        "office",
        ("audited", "printed", "archived", "rewrote", "presented", "signed", "rejected", "translated"),
        ("contract", "budget", "memo", "invoice", "survey", "manual", "tender", "forecast"),
        ("on the ninth floor", "in the board meeting", "at the tax office", "during the merger", "in the copy room",
         "for the trade union", "at the front desk", "before the deadline"),
        ("accountant", "lawyer", "secretary", "intern", "manager", "auditor"),
    ),
    Topic(
        "railway",
        ("delayed", "boarded", "coupled", "restored", "surveyed", "derailed", "cleaned", "rerouted"),
        ("locomotive", "sleeping car", "signal box", "freight train", "tram", "viaduct", "switch", "timetable"),
        ("in the long tunnel", "at the border station", "on platform three", "near the level crossing",
         "in the roundhouse", "across the canyon bridge", "at the terminus", "beside the water tower"),
        ("conductor", "engineer", "passenger", "porter", "dispatcher", "track walker"),
    ),
)
FIRST_NAMES = (
    "Aisha", "Anton", "Beatriz", "Bruno", "Chiara", "Dmitri", "Edith", "Emeka", "Farid", "Freya", "Gustav", "Haruto",
    "Helga", "Ibrahim", "Ingrid", "Jamal", "Jolanta", "Karim", "Katya", "Lars", "Leila", "Lorenzo", "Mei", "Milan",
    "Nadine", "Noah", "Oksana", "Oscar", "Paloma", "Pavel", "Quentin", "Ramona", "Rashid", "Sakura", "Stefan", "Tomas",
    "Ulrike", "Viktor", "Wanda", "Yusuf", "Zofia",
)
LAST_NAMES = (
    "Abernathy", "Brandt", "Castellano", "Dubois", "Eriksen", "Fontaine", "Grabowski", "Hashimoto", "Ivanova", "Jansen",
    "Kowalczyk", "Lindqvist", "Moreau", "Nakamura", "Okafor", "Petrov", "Quiroga", "Rossi", "Sandoval", "Takahashi",
    "Urbanek", "Vasquez", "Weber", "Yamamoto", "Zielinski", "Achterberg", "Bellini", "Chowdhury", "Delacroix",
    "Eisenberg", "Fitzgerald",
)
ADJECTIVES = (
    "ancient", "battered", "brittle", "clumsy", "colorful", "costly", "crooked", "curious", "delicate", "dusty",
    "elegant", "enormous", "famous", "faulty", "fragile", "gigantic", "glossy", "gloomy", "hollow", "humble", "ideal",
    "immense", "jagged", "lopsided", "massive", "modest", "narrow", "noisy", "obscure", "peculiar", "polished", "rare",
    "rusty", "shabby", "slender", "spotless", "stubborn", "sturdy", "tiny", "unusual", "valuable", "wooden", "worn",
)
TIMES = (
    "At dawn", "Before noon", "Just after lunch", "Late in the evening", "On a foggy Monday", "On a quiet Tuesday",
    "On a rainy Wednesday", "Last Thursday", "On Friday", "Over the weekend", "In early January", "In February",
    "At the end of March", "One April morning", "In mid May", "Throughout June", "In the heat of July", "In August",
    "On the first of September", "During October", "One November night", "Shortly before Christmas", "Last spring",
    "Two years ago", "For the third time", "Against all advice", "Without notice", "As promised", "By mistake",
)
MOODS = (
    "calmly", "cheerfully", "eagerly", "gently", "grudgingly", "hastily", "kindly", "nervously", "patiently", "proudly",
    "quietly", "reluctantly", "silently", "slowly", "suddenly", "warily", "wearily", "willingly",
)
MINUTES = tuple(str(number) for number in range(3, 98))
CLOSINGS = (
    "{other} later found the {thing} {place}.",
    "Nobody had {verb} it before, as {other} remarked {place}.",
    "{other} wrote a letter of thanks about the {thing}.",
    "In the end it was {other} who had {verb} the {thing} {place}.",
    "The local paper printed a picture of {other} {place}.",
    "Even so, {other} asked for another {thing}.",
    "That is why {other} no longer works {place}.",
    "{other} paid for the {thing} out of pocket.",
    "A second {thing} was already waiting {place}.",
    "What {other} had {verb} {place} was never explained.",
    "Many applauded when {other} appeared {place}.",
    "{other} kept the {thing} as a souvenir.",
)
# fmt: on
