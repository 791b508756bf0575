"""A synthetic run folder for the tests of scores, leaderboard and report: made-up tasks, episodes written in code."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from agents.files import write_json, write_jsonl, write_text
from agents.models.meter import Account
from agents.task import LEVELS, Form, Hop, Task
from evals.journal import finished
from evals.rows import ArmSpec
from evals.scores import Score
from evals.scoring import score, score_arm
from evals.weighed import Option, Weighed
from graphs.runner.collect import Collected
from graphs.trajectory import Hit, ToolUse, Trajectory, Usage, Verdict

BOARD = "b0a2d00000000001"
ARMS = (
    ArmSpec(name="base", player="base", seat="hf:tiny-base", choice="likelihood"),
    ArmSpec(name="base+cpt", player="base+cpt", seat="hf:students/cpt", choice="likelihood"),
    ArmSpec(name="student", player="student", seat="hf:students/sft"),
    ArmSpec(name="student closed book", player="student", mode="cot", seat="hf:students/sft", choice="likelihood"),
    ArmSpec(name="teacher", player="teacher", seat="scripted:answer-key@exam.jsonl"),
)


def make_task(i: int, split: str = "test", **changes: Any) -> Task:
    """Task number i: a look-up, a bridge or a scenario in turn, four options, gold at place i mod 4."""
    name, value = f"kettle_{split}_{i}", str(100 + i)
    options = [str(200 + i), str(30000 + i), str(400 + i)]
    options.insert(i % 4, value)
    chunk = f"kettle#{i}"
    hop = Hop(entity=name, attribute="default", value=value, quote=f"Default: {value}", chunk=chunk, title=name)
    fields: dict[str, Any] = {
        "id": f"{split}{i:03}",
        "question": f"What is the default of `{name}`?",
        "options": tuple(options),
        "gold": value,
        "level": LEVELS[i % 3],
        "kind": ("lookup", "bridge", "scenario")[i % 3],
        "entities": (name,),
        "group": f"group{i // 2}",
        "unseen_module": i % 5 == 0,
        "evidence": (chunk,),
        "hops": (hop,),
        "split": split,
    }
    return Task.model_validate(fields | changes)


def make_tasks(test: int = 30, train: int = 12) -> list[Task]:
    """Training tasks, then held-out ones."""
    return [make_task(i, "train") for i in range(train)] + [make_task(i) for i in range(test)]


def episode(task: Task, team: str, answer: str | None, **changes: Any) -> Trajectory:
    """An honest-looking episode that ends with `answer`; None = it reached the limit of steps."""
    mode, form = changes.get("mode", "react"), changes.get("form", "free")
    letters = [f"{'ABCDEFGH'[i]}) {option}" for i, option in enumerate(task.shown(form))]
    messages: list[dict[str, Any]] = [
        {"role": "user", "content": "\n".join([task.question, *letters]), "node": "task", "train": False}
    ]
    searches: tuple[ToolUse, ...] = ()
    if mode == "react":
        observation = f"[1] The kettle > {task.entities[0]}\nDefault: {task.gold}"
        query = {"name": "search", "arguments": {"query": task.entities[0]}}
        call = {"id": "call_1", "type": "function", "function": query}
        said = f"I look up `{task.entities[0]}`."
        messages += [
            {"role": "assistant", "content": said, "tool_calls": [call], "node": "reason", "train": True},
            {"role": "tool", "name": "search", "tool_call_id": "call_1", "content": observation, "node": "act"},
        ]
        hits = (Hit(chunk=task.evidence[0], score=7.5), Hit(chunk="kettle#other", score=1.0))
        searches = (ToolUse(query=task.entities[0], rewritten=task.entities[0], hits=hits, extract=observation),)
    quotes = (f"Default: {task.gold}",) if searches and answer is not None else ()
    if answer is not None:
        lines = ["The manual shows it.", *(f"Quote: {quote}" for quote in quotes), f"Answer: {answer}"]
        messages.append({"role": "assistant", "content": "\n".join(lines), "node": "reason", "train": True})
    right = answer == task.gold
    verdict = Verdict(
        well_formed=answer in (task.shown(form) or (answer,)) and answer is not None,
        grounded=True if quotes else None,
        correct=right,
        accepted=right,
        reasons=() if right else ("no_answer",) if answer is None else ("wrong",),
    )
    fields: dict[str, Any] = {
        "key": f"{team}-{task.id}",
        "task_id": task.id,
        "team": team,
        "mode": mode,
        "board": BOARD,
        "messages": tuple(messages),
        "tool_uses": searches,
        "answer": answer,
        "choice": answer if answer in task.shown(form) else None,
        "quotes": quotes,
        "verdict": verdict,
        "stop": "limit:steps" if answer is None else "answered",
        "usage": Usage(prompt=400, completion=40, calls=len(searches) + 1, seconds=0.25),
    }
    return Trajectory.model_validate(fields | changes)


def uses(rows: Iterable[dict[str, Any]]) -> tuple[ToolUse, ...]:
    """Tool calls of plain rows."""
    return tuple(ToolUse.model_validate(row) for row in rows)


def wrong_option(task: Task) -> str:
    """The first option that is not the gold."""
    return next(option for option in task.options if option != task.gold)


def play(tasks: Sequence[Task], team: str, is_right: Callable[[int], bool], **changes: Any) -> list[Trajectory]:
    """One episode a task; task number i is answered rightly where `is_right(i)`."""
    return [episode(t, team, t.gold if is_right(i) else wrong_option(t), **changes) for i, t in enumerate(tasks)]


def weighed(task: Task, right: bool, *, passages: bool = True) -> Weighed:
    """A task whose gold weighs most, or another option."""
    best = task.gold if right else wrong_option(task)
    options = [Option(text=text, tokens=2, total=-1.0 if text == best else -9.0, prior=-8.0) for text in task.options]
    return Weighed(
        key=f"weighed-{task.id}",
        task_id=task.id,
        board=BOARD,
        passages=passages,
        hits=task.evidence if passages else (),
        prompt_tokens=90,
        options=tuple(options),
        choice=best,
    )


def stem(arm: str) -> str:
    """The arm's name in its file names, as evals.replay writes it."""
    return arm.replace(" ", "-")


def write_arm(run: Path, arm: str, trajectories: Iterable[Trajectory], form: str = "") -> None:
    """scores/ARM.trajectories.jsonl, or scores/ARM.FORM.trajectories.jsonl."""
    write_jsonl(run / "scores" / f"{stem(arm)}{form and '.' + form}.trajectories.jsonl", trajectories)


def write_weighed(run: Path, arm: str, rows: Iterable[Weighed]) -> None:
    """scores/ARM.choice.likelihood.jsonl."""
    write_jsonl(run / "scores" / f"{stem(arm)}.choice.likelihood.jsonl", rows)


def write_choice(run: Path, held_out: Sequence[Task]) -> None:
    """The choice form of the five arms: student and teacher play, the options of the others are weighed."""
    for arm, share in (("base", 3), ("base+cpt", 2), ("student closed book", 4)):
        passages = arm != "student closed book"
        rows = [weighed(task, i % share == 0, passages=passages) for i, task in enumerate(held_out)]
        write_weighed(run, arm, rows)
    write_arm(run, "student", play(held_out, "student", lambda i: i % 20 != 19, form="choice"), "choice")
    write_arm(run, "teacher", play(held_out, "teacher", lambda i: True, form="choice"), "choice")


def write_run(run: Path, test: int = 30) -> Path:
    """A whole run folder: exam, five arms, losses, proofs, dataset counts, stage times; returns `run`."""
    tasks = make_tasks(test)
    held_out = [task for task in tasks if task.split == "test"]
    write_jsonl(run / "exam.jsonl", tasks)
    write_json(run / "exam.json", {"counts": {"test": test, "train": 12}, "baselines": {"random": 0.25}})
    write_arm(
        run,
        "base",
        [episode(t, "base", None) if i % 3 else episode(t, "base", t.options[0]) for i, t in enumerate(held_out)],
    )
    write_arm(run, "base+cpt", play(held_out, "base+cpt", lambda i: i % 4 == 0))
    write_arm(run, "student", play(held_out, "student", lambda i: i % 10 != 9))
    closed = play(held_out, "student", lambda i: i % 4 == 1, mode="cot")
    write_arm(run, "student closed book", closed)
    write_arm(run, "teacher", play(held_out, "teacher", lambda i: True))
    write_choice(run, held_out)
    for stage in ("cpt", "sft"):
        curve = [
            {"step": 5 * i, "loss": 3.0 / (1 + i), "lr": 1e-3, "seconds": i, "tokens": 100 * i} for i in range(1, 21)
        ]
        write_jsonl(run / "students" / stage / "losses.jsonl", curve)
        proof = {
            "name": "mask",
            "passed": stage == "sft",
            "detail": "thoughts and actions are trained",
            "numbers": {"rows": 9},
        }
        write_json(run / "students" / stage / "proofs.json", [proof])
    leak = {
        "name": "leak",
        "passed": True,
        "detail": "no held-out entity in training text",
        "numbers": {"overlap": 0.0},
    }
    write_json(run / "leaks.json", [leak])
    done = Collected(wanted=12, known=0, played=12, accepted=10, faults={"rate": 7}, labels={"recovered": 4, "<b>": 1})
    account = Account(calls=31, prompt=15_500, completion=900, cached=400, usd=0.27, seconds=62)
    write_json(run / "collect.json", {"react": done.model_copy(update={"accounts": {"reason": account}}).model_dump()})
    write_json(
        run / "dataset.json", {"ledger": 12, "kept": 10, "dropped": 2, "reasons": {"wrong": 2}, "cpt_chunks": 40}
    )
    stages = {
        "exam": {"fingerprint": "x", "seconds": 1.5, "finished": "2026-01-01T00:00:00Z", "said": "12 training tasks"}
    }
    write_json(run / "stages.json", stages)
    write_text(run / "data" / "README.md", "# Dataset of this run\n")
    return run


def scored(task: Task, trajectory: Trajectory, arm: str | None = None) -> SimpleNamespace:
    """A row of scores with its values as attributes."""
    return flat(finished(score(task, trajectory, arm=arm)))


def scored_arm(tasks: Sequence[Task], trajectories: Iterable[Trajectory], arm: str, form: Form = "free") -> list[Any]:
    """The rows of an arm, each with its values as attributes."""
    return [flat(row) for row in finished(score_arm(tasks, trajectories, arm, form))]


def flat(row: Score) -> SimpleNamespace:
    """A row with its values as attributes."""
    return SimpleNamespace(**{**dict(row), **row.values})
