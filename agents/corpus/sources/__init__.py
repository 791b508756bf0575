"""Manuals that need no folder: they are read from what runs."""
