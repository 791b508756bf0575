"""Indexes: what finds the passages of a library for a query. Each kind is one file, named by `[index] kind`."""

from .base import Index, IndexConfig, IndexSettings, Missing, fingerprint, indexes

__all__ = ["Index", "IndexConfig", "IndexSettings", "Missing", "fingerprint", "indexes"]
