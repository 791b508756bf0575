"""The scores that come with Retort, one file each; evals/scores.py says what a score is."""
