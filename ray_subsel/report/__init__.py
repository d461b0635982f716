"""A run's report as one HTML page that needs nothing else: no script, no request, readable on paper and on a phone."""

from __future__ import annotations

from ray_subsel.report.page import render_html

__all__ = ["render_html"]
