"""Put URIs together, and take secrets out of what is shown or kept: URIs may carry keys and passwords."""

from __future__ import annotations

import os
import re
from typing import Any

_USER = re.compile(r"(://)(?:[^/?#\s'\"]*|[^/?#\s'\":@]*:(?![0-9]+/)[^?#\s'\"@]*)@")
"""What stands before ``@``; behind a colon that begins no port also slashes, which keys of S3 have."""
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


def inside(uri: str, name: str) -> str:
    """Return the URI of what lies in a folder; options behind ``?`` stay behind.

    Examples
    --------
    >>> inside("s3://bucket/run?region=eu-west-1", "near"), inside("runs/a", "near")
    ('s3://bucket/run/near?region=eu-west-1', 'runs/a/near')
    """
    if "://" not in uri:
        return os.path.join(uri, name)
    place, mark, options = uri.partition("?")
    return f"{place.rstrip('/')}/{name}{mark}{options}"


def split(uri: str) -> tuple[str, str]:
    """Return the folder that a file lies in, and its name: what :func:`inside` puts together."""
    place, mark, options = uri.partition("?") if "://" in uri else (uri, "", "")
    folder, slash, name = place.rpartition("/")
    return (f"{folder or slash or '.'}{mark}{options}"), name
