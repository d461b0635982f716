"""Pool token states to one vector as a model's folder says: mean, [CLS] or maximum over the text's own tokens.

``mean = sum_t m_t h_t / sum_t m_t``, ``cls = h_0``, ``max_c = max_{t: m_t = 1} h_tc``, with the attention mask m and
the last layer's h_t in R^d. Folders of sentence-transformers tell it in ``modules.json`` and ``1_Pooling/config.json``;
all others mean the mean. Source: Reimers, Gurevych, "Sentence-BERT", EMNLP 2019.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ray_subsel.core.errors import Verbatim, invalid

if TYPE_CHECKING:
    import torch

MODULES = "modules.json"
MODES = {"cls": "pooling_mode_cls_token", "max": "pooling_mode_max_tokens", "mean": "pooling_mode_mean_tokens"}
"""The ways that are known, and their switches in ``1_Pooling/config.json``; several are concatenated in this order."""
PASSED = ("Transformer", "Pooling", "Normalize")
"""Parts of a model that are understood; vectors are normalised in any case."""


@dataclass(frozen=True)
class Pooling:
    """How token states become one vector.

    Attributes
    ----------
    modes : tuple of str
        ``mean``, ``cls``, ``max``; several are concatenated.
    max_length : int or None
        Tokens after which the model's own configuration cuts a text.
    """

    modes: tuple[str, ...] = ("mean",)
    max_length: int | None = None

    def __call__(self, hidden: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Return float32 vectors of shape (b, d per mode) of states (b, t, d) with an attention mask (b, t)."""
        import torch

        hidden = hidden.float()
        weights = mask.unsqueeze(-1).to(hidden.dtype)
        pooled = []
        for mode in self.modes:
            if mode == "cls":
                pooled.append(hidden[:, 0])
            elif mode == "max":
                pooled.append(hidden.masked_fill(weights == 0, -torch.inf).amax(dim=1))
            else:
                pooled.append((hidden * weights).sum(dim=1) / weights.sum(dim=1))
        return pooled[0] if len(pooled) == 1 else torch.cat(pooled, dim=1)


def read_pooling(folder: str) -> Pooling:
    """Return the pooling that a model's folder asks for.

    Raises
    ------
    InputError
        Where it asks for a part or a way of pooling that is not known.
    """
    root = Path(folder)
    if not (root / MODULES).is_file():
        return Pooling()
    modules = _read(root / MODULES)
    for module in modules:
        if _kind(module) not in PASSED:
            must = f"consist of {', '.join(PASSED)}"
            raise invalid("model", must, Verbatim(f"{_kind(module)} in {root / MODULES}"), "Use another encoder.")
    path = next((module["path"] for module in modules if _kind(module) == "Pooling"), None)
    settings = _settings(root / path / "config.json") if path is not None else {}
    limits = root / "sentence_bert_config.json"
    longest = _settings(limits).get("max_seq_length") if limits.is_file() else None
    return Pooling(_modes(settings, root) if settings else ("mean",), int(longest) if longest else None)


def _modes(settings: dict[str, Any], root: Path) -> tuple[str, ...]:
    named = settings.get("pooling_mode")
    on = [named] if isinstance(named, str) else list(named or ())
    on += [switch for switch, value in settings.items() if switch.startswith("pooling_mode_") and value is True]
    names = {switch: mode for mode, switch in MODES.items()}
    found = {names.get(switch, switch) for switch in on}
    unknown = sorted(found - set(MODES))
    if unknown or not found:
        way = "Use an encoder that pools like that."
        raise invalid("model", f"pool by {', '.join(MODES)}", Verbatim(f"{unknown or 'none'} in {root}"), way)
    return tuple(mode for mode in MODES if mode in found)


def _kind(module: dict[str, Any]) -> str:
    return str(module["type"]).rpartition(".")[2]


def _settings(file: Path) -> dict[str, Any]:
    return dict(_read(file))


def _read(file: Path) -> Any:
    try:
        return json.loads(file.read_text())
    except (OSError, ValueError) as error:
        raise invalid("model", "come with its pooling", str(file), f"({type(error).__name__})") from error
