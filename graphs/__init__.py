"""The board: THE graph (react.py), one episode on it (episode.py), and the record of an episode (trajectory.py)."""
