"""Datasets -> student: CPT and SFT with TRL and PEFT, blocked by proofs. Never imports evals."""
