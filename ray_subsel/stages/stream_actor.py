"""Let producers in several processes or on several machines feed one stream: a Ray actor."""

from __future__ import annotations

from typing import Any

from ray_subsel.streaming.merged import MergedStream
from ray_subsel.streaming.selector import StreamSelector


def start_merged_stream(selector: StreamSelector, producers: int, *, name: str | None = None) -> Any:
    """Start an actor with the methods of :class:`ray_subsel.streaming.merged.MergedStream`; Ray must be connected.

    Parameters
    ----------
    selector : StreamSelector
        The settings; or one that was saved, to go on.
    producers : int
    name : str, optional
        By which ``ray.get_actor`` finds it.

    Returns
    -------
    handle
        ``ray.get(handle.offer.remote(producer, number, X, ids))`` says how many batches of the producer wait.
    """
    import ray

    return ray.remote(MergedStream).options(name=name, num_cpus=0).remote(selector, producers)
