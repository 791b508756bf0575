"""The exam: facts become questions with levels and splits, audited against guessing. `build.py` is the way through."""
