# %% [markdown]
"""Retort from Python: the sample of `retort new` from its manual to a leaderboard, cell by cell.

Run it as a script (`python examples/notebook.py FOLDER`), or open it as a notebook: editors show each `# %%` as a cell.
"""

# %% A manual, its facts and a run.toml. Nothing of yours is overwritten: the folder must be new.
import logging
import sys
from pathlib import Path

import retort
from retort.new import new

FOLDER = Path(sys.argv[1] if len(sys.argv) == 2 else "kettle")
logging.basicConfig(format="%(message)s")
logging.getLogger("retort").setLevel(logging.INFO)  # progress, a line for each thing that is worth one
if not FOLDER.exists():
    print(new(FOLDER))

# %% The run. Any key of run.toml can be replaced; these make it a run to look at, not one to learn from.
run = retort.Run.load(FOLDER, overrides={"exam.train": 60, "sft.max_steps": 2, "evaluate.tasks": 4})
print(run.plan())

# %% The exam, and one of its questions.
run.index()
print(run.exam())
task = run.tasks("test")[0]
print(task.question, "->", task.gold)

# %% The teacher plays the training tasks. In a notebook: `await run.collect_async()` leaves the loop free.
print(run.collect())
print(run.dataset())
episode = run.trajectories(accepted=True)[0]
for message in episode.messages:
    print(f"{message['role']:>9}  {message['content'][:90]!r}")

# %% What a trainer of yours would read.
print(run.trajectories(accepted=True).to_dataset("trl"))

# %% The student: continual pretraining, then fine-tuning, each with its proofs.
print(run.train())

# %% The exam is played by every arm. In a notebook `board` alone shows the table.
board = run.evaluate()
print(board)
print(board.to_pandas()[["arm", "n", "accuracy"]])

# %% One question, one team; in a notebook also `await retort.play(task, team=run.team("student"))`.
trajectory = run.play(task, "teacher")
print(trajectory.answer, trajectory.verdict.correct)
print(run.report)
retort.close()
