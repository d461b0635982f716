"""Name what can become of a row of the input."""

from __future__ import annotations

CHOSEN = "chosen"
EXACT_COPY = "exact copy"
NEAR_COPY = "near copy"
EXCLUDED = "excluded"
CONTAMINATED = "contaminated"
LABEL_NOISE = "label noise"
OUTLIER = "outlier"
GROUP_FULL = "group full"
NOT_CHOSEN = "not chosen"
WITHDRAWN = "withdrawn"
REJECTED = "rejected"

STATUSES = (
    CHOSEN,
    EXACT_COPY,
    NEAR_COPY,
    EXCLUDED,
    CONTAMINATED,
    LABEL_NOISE,
    OUTLIER,
    GROUP_FULL,
    NOT_CHOSEN,
    REJECTED,
    WITHDRAWN,
)
"""In the order in which counts are told."""

CODE = {status: code for code, status in enumerate(STATUSES)}
