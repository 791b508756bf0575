"""Plays one held-out question of a run in THE graph: `python examples/play.py RUN_FOLDER student`."""

import random
import sys

import retort
from retort.show import episode_text

run = retort.Run.load(sys.argv[1])
print(episode_text(run.play(random.choice(run.tasks("test")), sys.argv[2])))
