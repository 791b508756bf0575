"""The players: what sits in the graph's seats (seats/), what they read (library/), and what each agent does."""
