"""Datasets -> student: continual pretraining and fine-tuning with TRL and PEFT, blocked by proofs. Never imports evals."""
