"""Settle the configurations of a run: what flags leave open is decided by the recipe, and then stated in full.

A settled configuration has recipe ``none``: it states everything, so that a run by ``--recipe auto`` and one whose
flags say the same share a directory.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ray_subsel.config.corpus import CorpusConfig
from ray_subsel.config.embed import EmbedConfig
from ray_subsel.config.options import fingerprint_fields
from ray_subsel.config.recipe import NOTHING, Decision, Facts, decide, values_of
from ray_subsel.config.run import RunConfig
from ray_subsel.config.select import SelectConfig
from ray_subsel.core.errors import InputError

FIELDS = {"objective": "objective", "near": "near", "quota": "quotas"}
"""The field of :class:`SelectConfig` that each flag of a decision is."""


@dataclass(frozen=True)
class Settled:
    """Configurations that state everything.

    Attributes
    ----------
    corpus : CorpusConfig
    select : SelectConfig or None
    recipe : str
        What decided.
    decisions : tuple of Decision
    """

    corpus: CorpusConfig
    select: SelectConfig | None
    recipe: str = NOTHING
    decisions: tuple[Decision, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Return the recipe and what it decided, ready for JSON."""
        return {"name": self.recipe, "decisions": [decision.as_json() for decision in self.decisions]}

    def lines(self) -> list[str]:
        """Return what was decided as the terminal shows it."""
        return [f"recipe    {self.recipe} {decision.line()}" for decision in self.decisions]

    def check_there(self, place: str, stages: Mapping[str, Mapping[str, Any]]) -> None:
        """Refuse a directory whose selection was made with another value of what the recipe decides.

        Parameters
        ----------
        place : str
            The directory.
        stages : mapping of str to mapping
            The settings of the stages that it has.

        Raises
        ------
        InputError
            One line that names the flags for what is there.
        """
        there = stages.get("select")
        if there is None or self.select is None:
            return
        here = fingerprint_fields(self.select)
        shown = []
        for decision in self.decisions:
            if decision.flag == "copies":
                old, new = stages.get("corpus", {}).get("copies", self.corpus.copies), self.corpus.copies
            else:
                field = FIELDS[decision.flag]
                old, new = there.get(field), here.get(field)
            if old != new:
                words = old if isinstance(old, list) else [old]
                shown += [f"--{decision.flag} {NOTHING if word is None else word}" for word in words or [None]]
        if shown:
            raise InputError(
                f"out must be this run's own directory; {place} holds a selection that --recipe {self.recipe} would "
                f"decide otherwise. Add {' '.join(shown)} for what is there, or use another --out, or --overwrite."
            )


def settle(corpus: CorpusConfig, embed: EmbedConfig, select: SelectConfig | None) -> Settled:
    """Return configurations in which nothing is left open."""
    plain = corpus.copies or "collapse"
    if select is None:
        return Settled(dataclasses.replace(corpus, copies=plain), None)
    facts = facts_of(corpus, embed)
    if select.per is not None:  # its column names what is chosen from, not what shares k
        facts = dataclasses.replace(facts, grouped=False)
    decisions = decide(select.recipe, dataclasses.replace(select.asked, copies=corpus.copies), facts)
    values = values_of(decisions)
    stated: dict[str, Any] = {"recipe": NOTHING, "objective": select.objective_name}
    stated["near"] = values.get("near", select.near)
    stated["quotas"] = (str(values["quota"]),) if "quota" in values else select.quotas
    return Settled(
        dataclasses.replace(corpus, copies=str(values.get("copies", plain))),
        dataclasses.replace(select, **stated),
        select.recipe,
        decisions,
    )


def settle_run(config: RunConfig) -> tuple[RunConfig, Settled]:
    """Return the configuration of a run in which nothing is left open, and what was decided."""
    settled = settle(config.corpus, config.embed, config.select)
    return dataclasses.replace(config, corpus=settled.corpus, select=settled.select), settled


def facts_of(corpus: CorpusConfig, embed: EmbedConfig) -> Facts:
    """Return what a recipe needs to know of a corpus and its vectors."""
    classes = None if corpus.label is None else f"column {corpus.label}"
    grouped = corpus.group is not None
    if corpus.vectors is not None:
        return Facts("ready vectors", None, classes, grouped)
    return Facts(embed.embedder, embed.embedder_class.near, classes, grouped)
