"""Choose k rows of a stream in one pass: :class:`StreamSelector`."""

from __future__ import annotations

import math
import os
from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ray_subsel.core.errors import Verbatim, invalid
from ray_subsel.core.numeric import array_of, finite_number, whole_number
from ray_subsel.core.types import Float64s, Indices
from ray_subsel.objectives import FacilityLocation, GraphCut, LogDeterminant, Objective
from ray_subsel.optimizers import Greedy, Problem
from ray_subsel.streaming.functions import next_step
from ray_subsel.streaming.grid_rows import grid_rows
from ray_subsel.streaming.kept import Kept
from ray_subsel.streaming.limits import GroupLimits
from ray_subsel.streaming.registry import stream_function, streamable
from ray_subsel.streaming.rules import RULES, Newcomers, Rule, Stream, Swap
from ray_subsel.streaming.saved import read_state, state_bytes, write_state

SAMPLE_A_PICK, LEAST_SAMPLE = 4, 1024


@dataclass(frozen=True, eq=False)
class Decisions:
    """What became of newcomers, in the order in which it was decided; unpacks as (accepted, evicted).

    A newcomer that was accepted and evicted again is in both.

    Attributes
    ----------
    accepted, evicted : int64 arrays
        Ids.
    replaced : int64 array
        For each accepted one the place in ``evicted`` of the item that it replaced; -1 where there was room.
    """

    accepted: Indices
    evicted: Indices
    replaced: Indices

    def __iter__(self) -> Iterator[Indices]:
        return iter((self.accepted, self.evicted))


@dataclass(frozen=True, eq=False)
class StreamSelection:
    """The kept items, in the order in which greedy picks them among themselves: every prefix is a smaller answer.

    Attributes
    ----------
    ids : int64 array of shape (m,)
    arrivals : int64 array of shape (m,)
        Their numbers in the stream, from 0.
    gains : float64 array of shape (m,)
        Utilities included; they sum to ``value``.
    value : float
        f over all that was seen; of facility location, estimated on its sample.
    seen : int
    refused_near : int
        Newcomers that would have been accepted, had no kept item been as near.
    """

    ids: Indices
    arrivals: Indices
    gains: Float64s
    value: float
    seen: int
    refused_near: int

    def __len__(self) -> int:
        return int(self.ids.size)


class StreamSelector:
    """Choose k items of a stream: one pass, in the order given, with memory for k items and a summary of the rest.

    Parameters
    ----------
    k : int
        How many items to keep.
    objective : str or Objective, default="facility_location"
        ``"facility_location"`` (of a uniform sample of what was seen, or of given ``represented`` items, such as the
        target's), ``"graph_cut"`` (against the exact sum of what was seen) or ``"log_determinant"``; or an instance.
    rule : str or Rule, default="swap"
        :class:`~ray_subsel.streaming.rules.Swap` or :class:`~ray_subsel.streaming.rules.ThreeSieves`, with what each
        guarantees.
    near : float, optional
        A cosine in (0, 1]: a newcomer that reaches it with a kept item is not accepted.
    quotas : int or mapping, optional
        At most so many kept items of every group, or of each group that the mapping names; groups come with
        :meth:`partial_fit`.
    sample : int, optional
        Represented items of facility location; by default 4 k, at least 1,024.
    seed : int, default=0
        Of the sample.

    Notes
    -----
    Memory: 8 bytes times k d for the kept items, and 8 r d for the r represented items of facility location, 8 d for
    graph cut, 8 d^2 for log-determinant; whatever was seen. Nothing else is kept of a row.

    Time a row: O(d) for graph cut, O(r d) for facility location, O(d^2) for log-determinant, and O(k d) more for rows
    that might be accepted.

    Same rows, order and settings: same decisions, for any batches and threads, across :meth:`save` and :meth:`load`.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.array([[1.0, 0.0], [0.9, 0.1], [0.0, 1.0], [0.1, 0.9]])
    >>> stream = StreamSelector(2)
    >>> accepted, evicted = stream.partial_fit(X)
    >>> accepted.tolist(), evicted.tolist(), sorted(stream.selection().ids.tolist())
    ([0, 1, 3], [1], [0, 3])
    """

    def __init__(
        self,
        k: int,
        objective: str | Objective[Any] = "facility_location",
        *,
        rule: str | Rule = "swap",
        near: float | None = None,
        quotas: int | Mapping[Hashable, int] | None = None,
        sample: int | None = None,
        seed: int = 0,
    ) -> None:
        self.k = whole_number(k, "k", "be a whole number >= 1", least=1)
        self.objective = streamable(objective)
        self.rule = _rule(rule)
        must = "be a cosine in (0, 1]"
        self.near = None if near is None else float(finite_number(near, "near", must, above=0.0, most=1.0))
        if sample is None:
            sample = max(SAMPLE_A_PICK * self.k, LEAST_SAMPLE)
        elif not isinstance(self.objective, FacilityLocation) or self.objective.represented is not None:
            raise invalid("sample", "go with facility location of a stream's own items", sample)
        self.sample = whole_number(sample, "sample", "be a whole number >= 1", least=1)
        self.seed = whole_number(seed, "seed", "be a whole number >= 0", least=0)
        self.limits = None if quotas is None else GroupLimits(quotas)
        self.seen = 0
        self._step_at = next_step(0)
        self._stream: Stream | None = None

    @property
    def d(self) -> int | None:
        """The dimension; None before the first row."""
        return None if self._stream is None else int(self._stream.kept.store.shape[1])

    @property
    def ids(self) -> Indices:
        """Ids of the kept items, by place."""
        return np.zeros(0, dtype=np.int64) if self._stream is None else self._kept.ids[: self._kept.size].copy()

    @property
    def refused_near(self) -> int:
        """Newcomers that would have been accepted, had no kept item been as near."""
        return 0 if self._stream is None else self._stream.refused_near

    def partial_fit(
        self, X: Any, *, ids: ArrayLike | None = None, utility: ArrayLike | None = None, groups: Any = None
    ) -> Decisions:
        """Decide about the next rows of the stream.

        Parameters
        ----------
        X : float array or tensor of shape (b, d)
            Their cosine is compared; a row need not have norm 1. No rows: ``numpy.empty((0, d))``.
        ids : int array of shape (b,), optional
            By default the number of each row in the stream, from 0.
        utility : float array of shape (b,), optional
            What a row is worth beside f; 1 is what a kept item is worth to f on average. Swap only.
        groups : sequence of b labels, optional
            Texts, numbers, True, False or None; needed where there are quotas.

        Returns
        -------
        Decisions
            Unpacks as (accepted, evicted).

        Raises
        ------
        InputError
            Nothing of the batch is taken then.
        """
        if hasattr(X, "shape") and len(X.shape) == 2 and X.shape[0] == 0:
            return Decisions(*(np.zeros(0, dtype=np.int64) for _ in range(3)))
        new = self._newcomers(grid_rows(X), ids, utility, groups)
        if self._stream is None:
            self._begin(new.X.shape[1])
        stream = self._stream
        assert stream is not None
        at = 0
        while at < len(new):
            part = new.part(at, min(len(new), at + self._step_at - self.seen))
            self.rule.judge(stream, part)
            stream.function.see(part.X, part.arrivals)
            at += len(part)
            self.seen += len(part)
            if self.seen == self._step_at:
                stream.function.step(stream.kept.vectors)
                self._step_at = next_step(self.seen)
        decided = Decisions(
            *(np.array(one, dtype=np.int64) for one in (stream.accepted, stream.evicted, stream.replaced))
        )
        stream.accepted, stream.evicted, stream.replaced = [], [], []
        return decided

    def selection(self) -> StreamSelection:
        """Return the kept items in greedy order, with their gains and f. The stream may go on afterwards."""
        if self._stream is None:
            nothing = np.zeros(0, dtype=np.int64)
            return StreamSelection(nothing, nothing, np.zeros(0), 0.0, 0, 0)
        kept, function = self._kept, self._stream.function
        by_arrival = np.argsort(kept.arrivals[: kept.size])
        objective, larger = function.objective(self.seen)
        utilities = kept.utilities[by_arrival] * function.worth(kept.size) * larger
        problem = Problem(
            kept.vectors[by_arrival], objective, kept.size, utility=utilities if utilities.any() else None
        )  # fmt: skip
        picks = Greedy().maximize(problem)
        places = by_arrival[picks.indices]
        return StreamSelection(
            kept.ids[places], kept.arrivals[places], picks.gains, math.fsum(picks.gains.tolist()), self.seen,
            self.refused_near,
        )  # fmt: skip

    def to_bytes(self) -> bytes:
        """Return the whole state, from which :meth:`from_bytes` goes on with the same decisions."""
        settings = {
            "k": self.k,
            "objective": _objective_settings(self.objective),
            "rule": {"name": self.rule.name, **vars(self.rule)},
            "near": self.near,
            "sample": self.sample,
            "seed": self.seed,
            "seen": self.seen,
            "step_at": self._step_at,
            "limits": None if self.limits is None else self.limits.settings(),
            "refused_near": self.refused_near,
        }
        arrays = {}
        if self._stream is not None:
            kept = self._kept
            arrays = {f"function.{name}": array for name, array in self._stream.function.save().items()}
            arrays |= {f"kept.{name}": getattr(kept, name)[: kept.size] for name in _KEPT}
            arrays["level"] = self._stream.level
        elif isinstance(self.objective, FacilityLocation) and self.objective.represented is not None:
            arrays["given"] = np.asarray(self.objective.represented)
        return state_bytes(settings, arrays)

    @staticmethod
    def from_bytes(content: bytes) -> StreamSelector:
        """Return the selector whose :meth:`to_bytes` this is; raises InputError for anything else."""
        return _restored(content)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the state to a file, whole or not at all; nothing is pickled."""
        write_state(path, self.to_bytes())

    @staticmethod
    def load(path: str | os.PathLike[str]) -> StreamSelector:
        """Return the selector that was saved to a file."""
        return _restored(path)

    @property
    def _kept(self) -> Kept:
        assert self._stream is not None
        return self._stream.kept

    def _begin(self, d: int) -> None:
        function = stream_function(self.objective, d, self.sample, self.seed)
        stream = Stream(function, Kept.none(self.k, d), self.near, self.limits, self.rule.start(function, self.k))
        self.rule.check(function, stream)
        self._stream = stream

    def _resume(self, settings: Mapping[str, Any], arrays: Mapping[str, Any]) -> None:
        """Take the state that was saved."""
        self.seen, self._step_at = settings["seen"], settings["step_at"]
        m, d = arrays["kept.store"].shape
        self._begin(d)
        assert self._stream is not None
        kept = self._stream.kept
        for name in _KEPT:
            getattr(kept, name)[:m] = arrays[f"kept.{name}"]
        kept.size = m
        groups, counts = np.unique(kept.groups[:m], return_counts=True)
        kept.counts = dict(zip(groups.tolist(), counts.tolist(), strict=True))
        prefix = "function."
        self._stream.function.load(
            {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}
        )
        self._stream.level = arrays["level"].copy()
        self._stream.refused_near = settings["refused_near"]

    def _newcomers(self, X: Float64s, ids: Any, utility: Any, groups: Any) -> Newcomers:
        """Return rows with all that is known of them, checked."""
        b, d = X.shape
        if self.d not in (None, d):
            raise invalid("X", f"have {self.d} columns, as the rows before", d)
        if isinstance(self.objective, FacilityLocation) and self.objective.represented is not None:
            wanted = int(np.shape(self.objective.represented)[1])
            if wanted != d:
                raise invalid("X", f"have {wanted} columns, as represented has", d)
        arrivals = np.arange(self.seen, self.seen + b)
        worth = np.zeros(b) if utility is None else _numbers(utility, "utility", b, "iuf").astype(np.float64)
        if not np.isfinite(worth).all():
            raise invalid("utility", "be finite", Verbatim(f"NaN or infinity at row {np.argmin(np.isfinite(worth))}"))
        if utility is not None and not isinstance(self.rule, Swap):
            raise invalid("utility", "go with rule='swap'", self.rule.name)
        names = arrivals if ids is None else _numbers(ids, "ids", b, "iu").astype(np.int64)
        if (groups is None) != (self.limits is None):
            raise invalid("groups", "be given with quotas", Verbatim("one of them"))
        numbers = np.full(b, -1) if self.limits is None else self.limits.numbers(groups, b)
        return Newcomers(X, names, arrivals, numbers, worth)


_KEPT = ("store", "ids", "arrivals", "groups", "utilities")


def _numbers(values: Any, parameter: str, b: int, kinds: str) -> Any:
    given = array_of(values, parameter, f"be {b} numbers")
    if given.shape != (b,) or given.dtype.kind not in kinds:
        raise invalid(parameter, f"be {b} numbers", Verbatim(f"{given.dtype} of shape {given.shape}"))
    return given


def _rule(rule: Any) -> Rule:
    if isinstance(rule, Rule):
        return rule
    if not isinstance(rule, str) or rule not in RULES:
        raise invalid("rule", f"be one of {', '.join(RULES)} or a Rule", rule)
    return RULES[rule]()


def _objective_settings(objective: Objective[Any]) -> dict[str, Any]:
    settings: dict[str, Any] = {"name": objective.name}
    if isinstance(objective, GraphCut):
        settings["lam"] = objective.lam
    elif isinstance(objective, LogDeterminant):
        settings["ridge"] = float(objective.ridge)
    elif isinstance(objective, FacilityLocation):
        settings["given"] = objective.represented is not None
    return settings


def _restored(content: bytes | str | os.PathLike[str]) -> StreamSelector:
    settings, arrays = read_state(content)
    about, rule = settings["objective"], dict(settings["rule"])
    given = (
        arrays["function.represented" if "function.represented" in arrays else "given"] if about.get("given") else None
    )
    objective: Objective[Any]
    if about["name"] == GraphCut.name:
        objective = GraphCut(about["lam"])
    elif about["name"] == LogDeterminant.name:
        objective = LogDeterminant(ridge=about["ridge"])
    else:
        objective = FacilityLocation(represented=given)
    own_sample = about.get("given") is False
    selector = StreamSelector(
        settings["k"], objective, rule=RULES[rule.pop("name")](**rule), near=settings["near"],
        sample=settings["sample"] if own_sample else None, seed=settings["seed"],
    )  # fmt: skip
    if settings["limits"] is not None:
        selector.limits = GroupLimits.restored(settings["limits"])
    if settings["seen"]:
        selector._resume(settings, arrays)
    return selector
