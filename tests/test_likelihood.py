"""Options weighed by likelihood: the numbers are the model's own, and a weighed arm stands on the leaderboard."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import little
import pytest
import synthetic_run as synthetic
import torch
from tiny_models import tiny_model

from agents.context import Seat, Team
from agents.errors import ConfigError, SeatError
from agents.files import read_jsonl, write_jsonl
from agents.models.engine import close_engines
from agents.models.hf import open_hf
from agents.models.likelihood import ROWS, Continuation, batches, continued, logprobs
from agents.task import Task
from evals.leaderboard import ArmSpec, build_leaderboard, format_table
from evals.likelihood import weigh
from evals.replay import replay
from evals.weighed import Option, Weighed, likelihood_score
from graphs.episode import Table
from retort.config import Arm

QUESTION = "What is the capital of France?"


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random model of 1024 positions."""
    return tiny_model(tmp_path_factory.mktemp("likelihood") / "base")


@pytest.fixture(scope="module", autouse=True)
def no_engine_outlives_this_file() -> Any:
    yield
    close_engines()


def alone(chat: Any, row: Continuation) -> list[float]:
    """The log-probabilities of one row by a plain forward pass."""
    with torch.inference_mode():
        logits = chat.engine.model(input_ids=torch.tensor([[*row.prompt, *row.ids]])).logits[0].float()
    spread = torch.log_softmax(logits, -1)
    return [float(spread[len(row.prompt) + at - 1, token]) for at, token in enumerate(row.ids)]


def test_a_batch_gives_what_each_row_gives_alone(base: Path) -> None:
    chat = open_hf(str(base))
    rows = []
    for at in range(40):
        prompt = chat.tokenizer.encode(QUESTION + " city" * (5 * at % 37))
        rows.append(continued(chat.tokenizer, prompt, "Answer: ", "Paris " * (1 + at % 4) + str(at)))
    found = logprobs(chat, rows)
    assert len({len(row.prompt) for row in rows}) > 10
    for row, values in zip(rows, found, strict=True):
        assert values is not None and list(values) == pytest.approx(alone(chat, row), abs=2e-4)


def test_an_adapter_weighs_with_its_own_weights(base: Path) -> None:
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    from finetune.student import write_adapter
    from finetune.trainer import quiet_libraries

    with quiet_libraries():
        torch.manual_seed(1)
        plain = AutoModelForCausalLM.from_pretrained(base)
        model = get_peft_model(plain, LoraConfig(r=4, target_modules="all-linear"))
        for name, weight in model.named_parameters():
            if "lora_B" in name:
                torch.nn.init.normal_(weight, std=0.2)
        write_adapter(model, base.parent / "adapter", "../base")
    chats = [open_hf(str(base)), open_hf(str(base.parent / "adapter"))]
    row = continued(chats[0].tokenizer, chats[0].tokenizer.encode(QUESTION), "Answer: ", "Paris")
    plain_values, adapted = (logprobs(chat, [row])[0] for chat in chats)
    assert plain_values is not None and adapted is not None
    assert max(abs(a - b) for a, b in zip(plain_values, adapted, strict=True)) > 0.01
    assert logprobs(chats[0], [row])[0] == pytest.approx(plain_values, abs=1e-4), "the base is the base again"


def test_the_scored_tokens_are_those_after_the_opening(base: Path) -> None:
    tok = open_hf(str(base)).tokenizer
    for text in ("Paris", "30", "`-1`", "None, None", "<|im_end|> x"):
        row = continued(tok, [5, 6, 7], "Answer: ", text)
        assert row.prompt[:3] == (5, 6, 7) and row.ids
        whole = tok.decode([*row.prompt[3:], *row.ids])
        assert whole == "Answer: " + text.replace("<|im_end|>", "< |im_end|>")
        assert tok.decode(row.prompt[3:]).strip() == "Answer:", "the blank before the text is scored with it"


def test_what_does_not_fit_is_not_scored(base: Path) -> None:
    chat = open_hf(str(base))
    prompt = tuple([5] * 1020)
    found = logprobs(chat, [Continuation(prompt, (1, 2, 3, 4)), Continuation(prompt, (1, 2, 3, 4, 5))])
    assert found[0] is not None and found[1] is None
    assert logprobs(chat, [Continuation((), (1,)), Continuation((1,), ())]) == [None, None]


def test_batches_are_bounded() -> None:
    rows = [Continuation((0,) * 10, (1,))] * 70 + [Continuation((0,) * 9000, (1,))] * 3
    sizes = [len(batch) for batch in batches(rows, range(len(rows)))]
    assert max(sizes) <= ROWS and sizes[-3:] == [1, 1, 1] and sum(sizes) == 73


def context(run: Path, model: str, **changes: object) -> Any:
    """A context whose reason seat is a model of this process."""
    team = Team(name="base", reason=Seat(model=model))
    return little.context(run, team=team, **{"form": "choice", **changes})


def asked() -> list[Task]:
    """A few held-out tasks of the kettle."""
    return [task for task in little.tasks(little.library()) if task.split == "test"][:20]


def test_passages_help_a_base_that_copies_and_weighing_continues(kettle: Path, tmp_path: Path) -> None:
    path, table = tmp_path / "base.jsonl", Table.from_context(context(kettle, "hf:tiny-base"))
    rows = weigh(path, asked(), table)
    assert [row.task_id for row in rows] == [task.id for task in asked()]
    assert all(row.passages and row.hits and row.board == table.board for row in rows)
    right = sum(row.choice == task.gold for row, task in zip(rows, asked(), strict=True))
    closed = weigh(tmp_path / "closed.jsonl", asked(), Table.from_context(context(kettle, "hf:tiny-base", mode="cot")))
    without = sum(row.choice == task.gold for row, task in zip(closed, asked(), strict=True))
    assert not any(row.passages or row.hits for row in closed)
    assert right > without and right >= 12
    for row in rows:
        best = max(row.options, key=lambda option: (option.total - option.prior) / option.tokens)
        assert best.text == row.choice and all(math.isfinite(option.weight) for option in row.options)
    marked = [row.model_copy(update={"prompt_tokens": 7}) for row in rows[:8]]
    write_jsonl(path, marked)
    again = weigh(path, asked(), table)
    assert again[:8] == marked, "what is on file is not weighed again"
    assert [row.choice for row in again] == [row.choice for row in rows]
    other = weigh(path, asked()[:2], Table.from_context(context(kettle, "hf:tiny-base", mode="cot")))
    assert [row.prompt_tokens for row in other] == [row.prompt_tokens for row in closed[:2]], "another mode, other keys"


def test_only_a_model_of_this_process_can_be_asked(kettle: Path, tmp_path: Path) -> None:
    table = Table.from_context(context(kettle, "openai:m@http://127.0.0.1:9/v1"))
    with pytest.raises(SeatError, match=r"'openai:m@.*' cannot be asked for likelihoods"):
        weigh(tmp_path / "x.jsonl", asked(), table)


@pytest.mark.parametrize(
    ("team", "mode", "choice", "model", "how"),
    [
        ("student", "react", "auto", "hf:x", "graph"),
        ("teacher", "react", "auto", "openai:x", "graph"),
        ("base", "react", "auto", "hf:x", "likelihood"),
        ("cpt", "react", "auto", "hf:x", "likelihood"),
        ("student", "cot", "auto", "hf:x", "likelihood"),
        ("student", "answer", "auto", "hf:x", "likelihood"),
        ("student", "cot", "auto", "openai:x", "none"),
        ("base", "react", "auto", "vllm:x", "none"),
        ("teacher", "cot", "auto", "scripted:answer-key", "graph"),
        ("base", "react", "graph", "openai:x", "graph"),
        ("teacher", "react", "off", "openai:x", "none"),
        ("student", "react", "likelihood", "hf:x", "likelihood"),
    ],
)
def test_how_an_arm_sits_the_choice_form(team: str, mode: Any, choice: Any, model: str, how: str) -> None:
    assert Arm(name="x", team=team, mode=mode, choice=choice).in_choice(model) == how


def test_an_endpoint_cannot_be_weighed() -> None:
    with pytest.raises(ConfigError, match="arm 'x': choice = 'likelihood' needs an hf seat, not 'openai:m'"):
        Arm(name="x", team="base", choice="likelihood").in_choice("openai:m")


def test_a_prompt_without_room_is_no_answer() -> None:
    task = synthetic.make_task(0)
    row = Weighed(
        key="k", task_id=task.id, board="b", passages=True, hits=(), prompt_tokens=9000, options=(), choice=None
    )
    score = likelihood_score(task, row, "base")
    assert (score.values["correct"], score.values["answered"], score.stop, score.form) == (
        0.0,
        0.0,
        "limit:context",
        "choice",
    )
    assert Option(text="x", tokens=4, total=-2.0, prior=-6.0).weight == 1.0


def test_a_weighed_arm_stands_beside_a_played_one(kettle: Path, tmp_path: Path) -> None:
    import shutil

    run = shutil.copytree(kettle, tmp_path / "kettle")
    teacher = little.context(run, verify="score")
    base = context(run, "hf:tiny-base", form="free", board=teacher.board.model_copy())
    mute = base.model_copy(update={"team": Team(name="base", reason=little.seat(tmp_path, [{"reply": "Hm."}]))})
    contexts = {"base": mute, "teacher": teacher}
    said = replay(run, asked()[:4], contexts, concurrency=2, choice={"base": "none"})
    assert said == "right: base 0/4, teacher 4/4; choice form: teacher 4/4"
    with pytest.raises(SeatError, match="likelihoods"):
        replay(run, asked()[:4], contexts, concurrency=2, choice={"base": "likelihood"})
    weigh(
        run / "scores" / "base.choice.likelihood.jsonl",
        asked()[:4],
        Table.from_context(base.model_copy(update={"form": "choice"})),
    )
    arms = [
        ArmSpec(name="base", player="base", seat="hf:tiny-base", choice="likelihood"),
        ArmSpec(name="teacher", player="teacher", seat="scripted:answer-key@exam.jsonl"),
    ]
    board = build_leaderboard(run, arms, tasks=4)
    row = board.row("base")
    assert row.also["choice"].how == "likelihood" and row.also["choice"].accuracy.right >= 2
    assert row.also["choice"].means["evidence_recall"] == 1.0 and row.also["choice"].means["steps"] is None
    assert "^" in format_table(board) and "100 % of its episodes ended without an answer" in format_table(board)
    assert len(read_jsonl(run / "scores" / "base.choice.likelihood.jsonl")) == 4
