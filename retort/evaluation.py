"""The exam is sat and shown: every arm in every form, on the test or, for choosing, on the dev tasks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from agents.answers import fold
from agents.context import Context, Seat
from agents.errors import ConfigError, StageError
from agents.files import read_model, write_json
from graphs.contents import recall, remember

from .boards import NOTES, differences
from .config import Arm
from .lines import say
from .lock import alone
from .stages import HASHES
from .table import stage_of

if TYPE_CHECKING:
    from evals.scoring import Scoring

    from .pipeline import Run


def evaluate(run: Run, split: Literal["dev", "test"] = "test") -> str:
    """Every arm sits the held-out tasks on the same board, in every form; of `test` the look is recorded."""
    from evals.looks import looked
    from evals.replay import replay
    from graphs.board import team_identity

    options = run.config.evaluate
    every = run.tasks(split)
    if not every:
        raise StageError(f"the exam has no {split} tasks: raise exam.{split} and run the stage 'exam' again")
    found = contexts(run)
    check_scores(run)
    text = replay(
        run.folder,
        every[: options.tasks],
        found,
        concurrency=options.concurrency,
        workers=options.workers,
        executor=options.executor,
        budget=run.config.budget,
        forms=options.forms,
        choice={arm.name: arm.in_choice(found[arm.name].team.reason.model) for arm in run.config.arms()},
        split=split,
        scores=options.scores,
        seats=seats_of_scores(run),
    )
    if split == "test":
        players = {name: team_identity(context.team) for name, context in found.items()}
        looked(run.folder, every, players, [arm.name for arm in run.config.arms() if player(run, arm) == "student"])
        text = "; ".join([text, *differences(run.folder)])
    return text


def contexts(run: Run) -> dict[str, Context]:
    """Arm -> context; every arm is scored by the same verifier without help."""
    return {arm.name: run.context(arm.team, arm.mode, "score", held_out=False) for arm in run.config.arms()}


def scoring(run: Run, split: Literal["dev", "test"] = "test") -> Scoring:
    """The scores of the config; one that asks and has no seat of its own asks the judge of the collecting team."""
    from evals.asking import scoring_with
    from evals.places import scores_folder

    folder = scores_folder(run.folder, split)
    return scoring_with(seats_of_scores(run), run.config.evaluate.scores, folder=folder)


def seats_of_scores(run: Run) -> dict[str, Seat]:
    """Score -> the seat that it asks; under `""` the judge of the collecting team, where it has one."""
    judge = run.team(run.config.collect.team).judge
    return {**run.config.evaluate.seats, **({"": judge} if judge is not None else {})}


def asked_by_scores(run: Run) -> dict[str, Seat]:
    """Score that asks -> the seat that it asks."""
    seats = seats_of_scores(run)
    return {name: seats.get(name) or seats[""] for name in scoring(run).who}


def check_scores(run: Run) -> None:
    """Raise ConfigError where a score cannot be used, or its calls could not be counted in the budget's USD."""
    from agents.models.prices import costs

    for name, seat in asked_by_scores(run).items():
        if run.config.budget.usd is not None and costs(seat) and seat.price is None:
            raise ConfigError(
                f"[budget] usd = {run.config.budget.usd:g} cannot hold: the seat of the score {name} ({seat.model}) "
                "has no price; add price = { prompt = USD, completion = USD } per million tokens to it"
            )


def player(run: Run, arm: Arm) -> str:
    """What kind of player sits in an arm, as the leaderboard tells it."""
    if arm.team not in run.config.teams:
        names = run.config.student.trainings
        if arm.team in names:
            return "+".join(("base", *names[: names.index(arm.team) + 1]))
        return arm.team
    return "student" if arm.team == "student" else "teacher" if arm.team == run.config.collect.team else "team"


def leaderboard(run: Run, split: Literal["dev", "test"] = "test") -> str:
    """Scores into leaderboard.{json,csv,md} and report.html; of `dev` into leaderboard.dev.{json,md}."""
    from evals.leaderboard import ArmSpec, build_leaderboard, format_table, write_leaderboard
    from evals.report import write_report

    arms = []
    for arm in run.config.arms():
        seat = run.team(arm.team).reason.model
        about = {"name": arm.name, "mode": arm.mode, "seat": seat, "choice": arm.in_choice(seat)}
        arms.append(ArmSpec(player=player(run, arm), **about))
    options = run.config.evaluate
    board = build_leaderboard(
        run.folder, arms, tasks=options.tasks, forms=options.forms, split=split, scoring=scoring(run, split)
    )
    write_leaderboard(run.folder, board)
    if split == "test":
        notes = differences(run.folder)
        write_json(run.folder / NOTES, notes)
        for note in notes:
            say(f"{'':<12} note: {note}")
        write_report(run.folder, board)
    return fold(format_table(board).splitlines()[0])


def dev(run: Run, *, play: bool = True) -> str:
    """The dev tasks into scores/dev/ and leaderboard.dev.{json,md}, without a look at the test; returns the table.

    Args:
        play: False builds the leaderboard of what was played before.

    Raises:
        StageError: a stage that makes the exam or a player is not fresh, or another process works on the run.
    """
    from evals.leaderboard import Leaderboard, format_table

    from .pipeline import needed

    run.check_place()
    with alone(run.folder):
        run.settle()
        recall(run.folder / HASHES)
        try:
            if play:
                needed(run, stage_of(run.config, "evaluate"))
                say(f"{'evaluate':<12} arms -> scores on the dev tasks")
                say(f"{'':<12} {evaluate(run, 'dev')}")
            leaderboard(run, "dev")
        finally:
            remember(run.folder / HASHES)
    return format_table(read_model(run.folder / "leaderboard.dev.json", Leaderboard, "evaluate"))
