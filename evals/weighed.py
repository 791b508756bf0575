"""The record of a task whose options were weighed by likelihood (likelihood.py), and its row of scores."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from agents.task import Task

from .scores import Score, about, evidence_recall


class Option(BaseModel):
    """One option of a task."""

    model_config = ConfigDict(frozen=True)

    text: str
    tokens: int
    total: float
    """Log-probability of its tokens after the question."""
    prior: float
    """The same where `?` stands for the question."""

    @property
    def weight(self) -> float:
        """By the rule of likelihood.py."""
        return (self.total - self.prior) / self.tokens


class Weighed(BaseModel):
    """One task with the weights of its options; a line of scores/ARM.choice.likelihood.jsonl."""

    model_config = ConfigDict(frozen=True)

    key: str
    """Changes with the task, the players, the board and the rule."""
    task_id: str
    board: str
    passages: bool
    """Whether the passages of a search stood before the question."""
    hits: tuple[str, ...] = ()
    """Chunks whose text stood there."""
    prompt_tokens: int
    options: tuple[Option, ...]
    """Empty where the model has too few positions for the prompt."""
    choice: str | None
    """The option with the greatest weight."""


def likelihood_score(task: Task, row: Weighed, arm: str) -> Score:
    """A weighed task as a row of scores: nothing was played, so what tells of an episode does not apply."""
    return Score.model_validate(
        {
            **about(task, arm),
            "form": "choice",
            "values": {
                "correct": float(row.choice == task.gold),
                "answered": float(row.choice is not None),
                "evidence_recall": evidence_recall(task, row.hits) if row.passages else None,
                "prompt_tokens": float(row.prompt_tokens),
            },
            "key": row.key,
            "stop": "answered" if row.choice is not None else "limit:context",
            "answer": row.choice,
            "choice": row.choice,
        }
    )
