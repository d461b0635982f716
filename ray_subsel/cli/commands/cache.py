"""``subsel cache``: look at the embeddings that are kept from one run to the next, or delete them."""

from __future__ import annotations

import dataclasses
import time
from typing import Any

from ray_subsel.cli.commands.base import Answer, Command, Invocation
from ray_subsel.cli.flags import add_flags, build
from ray_subsel.config import CacheConfig


def _add(commands: Any) -> None:
    about = "show the embeddings that are kept from one run to the next, or delete them"
    command = commands.add_parser("cache", help=about, description=about.capitalize() + ".")
    command.add_argument("--clear", action="store_true", help="delete them all")
    add_flags(command, CacheConfig, title="where; --cache-size BYTES deletes what exceeds it", skip=("no_cache",))


def _run(call: Invocation) -> Answer:
    from ray_subsel.core.byte_sizes import show_bytes
    from ray_subsel.storage.vector_files import clear, contents, trim

    config = build(CacheConfig, call.given)
    folder = config.folder
    assert folder is not None
    before = contents(folder)
    if call.given["clear"]:
        clear(folder)
    elif "cache_size" in call.given:  # a bound that was named, not the default
        trim(folder, config.limit)
    kept = contents(folder)
    gone = sum(one.bytes for one in before) - sum(one.bytes for one in kept)
    shown = show_bytes(sum(one.bytes for one in kept)) if kept else "no embeddings are kept"
    lines = [f"{folder}: {shown}{f', {show_bytes(gone)} deleted' if gone else ''}"]
    width = max((len(one.model) for one in kept), default=0)
    for one in kept:
        when = time.strftime("%Y-%m-%d %H:%M", time.localtime(one.used))
        lines.append(f"  {one.model:{width}}  {one.vectors:,} vectors  {show_bytes(one.bytes)}  last used {when}")
    data = {"folder": str(folder), "deleted_bytes": gone, "models": [dataclasses.asdict(one) for one in kept]}
    return Answer("\n".join(lines), data)


CACHE = Command("cache", _add, _run)
