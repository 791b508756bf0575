"""Plays one held-out question of a run in THE graph: `python examples/play.py RUN_FOLDER student`."""

import asyncio
import random
import sys
from pathlib import Path

from graphs.episode import Table, play
from retort.config import load_config
from retort.pipeline import Run
from retort.show import episode_text

run = Run(load_config(Path(sys.argv[1])), Path(sys.argv[1]))
table = Table.lay(run.context(sys.argv[2], "react", "score", held_out=False))
task = random.choice(run.tasks("test"))
print(episode_text(asyncio.run(play(task, table))))
