"""Choose among texts in one call: embed them, then :func:`ray_subsel.select`."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from ray_subsel.api.embed_texts import SETTINGS, embed_config, vectors_of
from ray_subsel.api.items import Items
from ray_subsel.api.kinds import rows_of
from ray_subsel.api.texts import DistinctTexts, distinct_texts
from ray_subsel.config.recipe import RECIPES, Asked, Decision, Facts, decide
from ray_subsel.constraints.size import resolve_k
from ray_subsel.core.errors import Verbatim, invalid, unknown
from ray_subsel.embedders import EmbedsTexts
from ray_subsel.selection.api import select

OF_ROWS = ("groups", "costs", "utility", "quality", "near_within", "per", "keep_best")
"""Arguments of :func:`select` with a value a row: here also the name of a column."""
NOT_HANDED_ON = ("X", "labels", "multiplicity")
"""Arguments of :func:`select` that are made of texts and label here."""


def select_texts(
    texts: Any,
    k: int | None = None,
    *,
    fraction: float | None = None,
    text: str | Sequence[str] | None = None,
    label: Any = None,
    embedder: str | EmbedsTexts = "minilm",
    recipe: Literal["auto", "paper", "none"] = "auto",
    near: float | Literal["none"] | None = None,
    copies: Literal["collapse", "keep"] | None = None,
    include: Any = (),
    exclude: Any = (),
    target: Any = None,
    against: Any = None,
    cache: bool | str = True,
    progress: bool = False,
    return_selection: bool = False,
    **options: Any,
) -> Any:
    """Choose a small subset of texts that is diverse and represents all of them.

    Parameters
    ----------
    texts : list of str, data frame, datasets.Dataset, pyarrow.Table or ray.data.Dataset
        Also a series, an array, a list of dictionaries, and whatever has the Arrow interface (polars, a DuckDB
        relation). What comes back is of the same kind.
    k : int, optional
        How many rows. Give one of ``k``, ``fraction`` and ``budget``.
    fraction : float, optional
        Share of the rows that have a text, in (0, 1].
    text : str or sequence of str, optional
        The column that holds the text, or several that are joined with a space. By default ``text``, or the only one.
    label : str or array of shape (n,), optional
        The class of each row, a column or values: the recipe balances the classes.
    embedder : str or object, default="minilm"
        As for :func:`ray_subsel.embed`, whose settings (``model``, ``max_length``, ...) can be given too.
    recipe : "auto", "paper" or "none", default="auto"
        Decides what is left open, as for :func:`ray_subsel.select`; here it knows the embedder, and so from which
        cosine two texts are near copies. ``Selection.decisions`` tells what and why.
    near : float or "none", optional
        Collapse texts whose cosine is at least this, before the choice; "none" keeps them all.
    copies : "collapse" or "keep", optional
        Equal texts: one item to choose, by default, or one each.
    include, exclude : sequences of int
        Rows that must be chosen (they come first), and rows that must not, nor a copy of them.
    target : of any of the kinds of ``texts``, optional
        Queries, or other texts that the chosen rows shall resemble; as ``target`` of :func:`ray_subsel.select`.
    against : of any of the kinds of ``texts``, optional
        Other texts, such as a test set: rows that equal or nearly repeat one, from a cosine of ``against_near`` on, are
        left out; ``Selection.left_out`` tells which.
    cache : bool or str, default=True
        Whether, or in which folder, embeddings are kept; see :func:`ray_subsel.embed`.
    progress : bool, default=False
        Show bars on standard error.
    return_selection : bool, default=False
        Return the :class:`ray_subsel.Selection`, too.
    **options
        The other arguments of :func:`ray_subsel.select` (``objective``, ``quotas``, ``budget``, ...). Those with a
        value a row may be the name of a column: ``groups``, ``costs``, ``utility``, ``quality``, ``near_within``,
        ``per``, ``keep_best``.

    Returns
    -------
    rows : the kind of ``texts``
        The chosen rows in rank order, with all their columns and types.
    selection : Selection
        With ``return_selection``: row numbers, gains, decisions, and :meth:`~ray_subsel.Selection.explain` of any row.

    Raises
    ------
    InputError
        One line that names the parameter, what it must be, what arrived and the way out.

    Warns
    -----
    UserWarning
        Where rows have no text: how many, and the first.

    Notes
    -----
    The texts and their vectors are held in memory, and embedded in this process; ``subsel select`` has no such bound.
    Of a Ray Dataset the text column comes to this process, the rows stay in Ray.

    Examples
    --------
    >>> texts = ["a red bird", "a blue bird", "a red bird", "the train is late", "the train was late again"]
    >>> select_texts(texts, 2, embedder="tfidf")
    ['a red bird', 'the train is late']
    >>> rows, chosen = select_texts(texts, 2, embedder="tfidf", return_selection=True)
    >>> chosen.indices.tolist()
    [0, 3]
    >>> print(chosen.explain(2))
    Row 2 was not chosen: it is a copy of row 0 (cosine 1.0000), which was chosen as number 1 of 2.
    """
    settings, rest = _split(options)
    if copies not in (None, "collapse", "keep"):
        raise unknown("copies", copies, ("collapse", "keep"))
    decisions = _decisions(recipe, near, copies, embedder, settings)
    decided: dict[str, Any] = {decision.flag: decision.value for decision in decisions}
    rows = rows_of(texts)
    found = distinct_texts(rows, text)
    items = Items.of(found, keep=decided.get("copies", copies) == "keep")
    of_rows = {name: items.values(rows, name, rest.pop(name)) for name in OF_ROWS if rest.get(name) is not None}
    if label is not None:
        of_rows["labels"] = items.values(rows, "label", label)
    included, barred = items.named(include, "include"), items.named(exclude, "exclude")
    for item in included.keys() & barred.keys():
        row = Verbatim(f"row {included[item]}, or a copy of it, in both")
        raise invalid("exclude", "share no row with include", row)
    size: int | None = None
    per = "per" in of_rows  # k and fraction are then those of each group
    if not per and (fraction is not None or k is not None):
        size, short = resolve_k(k, fraction, rows=found.rows, items=items.first.size, excluded=len(barred))
        if short is not None:
            raise invalid("fraction", f"ask for at most {size} items", fraction, short)
    elif not per and rest.get("budget") is None:
        raise invalid("k", "be given, or fraction, or costs and budget", Verbatim("none of them"))
    beside = [None if one is None else distinct_texts(rows_of(one), text) for one in (against, target)]
    every = [*found.texts, *(one for other in beside if other is not None for one in other.texts)]
    both = vectors_of(every, embedder, ground=items.texts, cache=cache, progress=progress, **settings)
    vectors, of_others = both[: len(found.texts)], _parts(both, len(found.texts), beside)
    chosen = select(
        vectors if items.text_of.size == len(vectors) else vectors[items.text_of],
        k if per else size,
        fraction=fraction if per else None,
        recipe=recipe,
        near=decided.get("near", near),
        include=np.array(list(included), dtype=np.int64),
        exclude=np.array(list(barred), dtype=np.int64),
        against=of_others[0],
        target=None if beside[1] is None else of_others[1][beside[1].item_of[beside[1].item_of >= 0]],
        progress=progress,
        **of_rows,
        **rest,
    )
    selection = items.published(chosen, vectors, included, None if beside[0] is None else beside[0].first)
    selection = dataclasses.replace(selection, decisions=(*decisions, *selection.decisions))
    taken = rows.take(selection.indices)
    return (taken, selection) if return_selection else taken


def _parts(vectors: Any, start: int, others: list[DistinctTexts | None]) -> list[Any]:
    """Return the vectors of other sets of texts, which follow each other from ``start`` on."""
    found: list[Any] = []
    for other in others:
        found.append(None if other is None else vectors[start : start + len(other.texts)])
        start += 0 if other is None else len(other.texts)
    return found


def _split(options: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the settings of the embedder, and the arguments of :func:`select`; ``seed`` is of both."""
    arguments = [name for name in inspect.signature(select).parameters if name not in NOT_HANDED_ON]
    for name in options:
        if name not in arguments and name not in SETTINGS:
            raise unknown("argument", name, [*arguments, *SETTINGS])
    settings = {name: value for name, value in options.items() if name in SETTINGS}
    return settings, {name: value for name, value in options.items() if name in arguments}


def _decisions(
    recipe: str, near: Any, copies: str | None, embedder: str | EmbedsTexts, settings: dict[str, Any]
) -> tuple[Decision, ...]:
    """Return what the recipe decides of texts before they are vectors: near copies and equal texts."""
    if recipe not in RECIPES:
        raise unknown("recipe", recipe, RECIPES)
    facts = Facts("vectors of your own")
    if isinstance(embedder, str):
        kind = embed_config(embedder, settings).embedder_class
        facts = Facts(kind.name, kind.near)
    decided = decide(recipe, Asked(near=near, copies=copies), facts)
    return tuple(decision for decision in decided if decision.flag in ("near", "copies"))
