"""Take secrets out of what is shown or kept: URIs may carry keys and passwords."""

from __future__ import annotations

import re
from typing import Any

_USER = re.compile(r"(://)[^/?#\s'\"]*@")
_QUERY = re.compile(r"([?&][^=&\s'\"]*(?:key|secret|token|passw|sig|credential)[^=&\s'\"]*=)[^&\s'\"]+", re.IGNORECASE)
HIDDEN = "***"


def without_secrets(text: str) -> str:
    """Return a text with ``***`` in the place of what stands before ``@`` in a URI, and of keys in its query.

    Examples
    --------
    >>> without_secrets("s3://AKIA:abc@bucket/run?secret_key=abc&region=eu-west-1")
    's3://***@bucket/run?secret_key=***&region=eu-west-1'
    """
    if "://" not in text:
        return text
    return _QUERY.sub(rf"\1{HIDDEN}", _USER.sub(rf"\1{HIDDEN}@", text))


def all_without_secrets(content: Any) -> Any:
    """Return what JSON can write, each text in it without secrets."""
    if isinstance(content, str):
        return without_secrets(content)
    if isinstance(content, dict):
        return {key: all_without_secrets(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [all_without_secrets(value) for value in content]
    return content
