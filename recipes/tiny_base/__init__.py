"""The recipe of the tiny base: tokenizer, drills, training. Its weights lie in agents/models/tiny_base."""
