"""The report: one self-contained HTML page a run, which loads nothing and trusts no text of a model."""

from __future__ import annotations

from .page import write_report

__all__ = ["write_report"]
