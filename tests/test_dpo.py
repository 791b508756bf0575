"""DPO: the better turn becomes likelier; the log-probabilities that are trained are those of the turns, by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from dpo_rows import dpo_file, pair_rows
from tiny_models import MARKED, PLAIN, sft_file, tiny_model

from agents.errors import ProofError, StageError
from agents.models.engine import load_model
from agents.models.rendering import load_tokenizer
from agents.models.weights import find_weights
from finetune.dpo import Dpo, DpoConfig, dpo, read_pairs, tokens_of
from finetune.methods import Job
from finetune.proofs_pairs import PairsEvidence, by_hand, prove_mask, prove_template, spread
from finetune.rows import episodes_dataset, read_episodes
from finetune.settings import TrainingResult
from finetune.sft import Sft, SftConfig, sft
from finetune.trainer import build_trainer, open_base


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Models and rows."""
    folder = tmp_path_factory.mktemp("dpo")
    tiny_model(folder / "base", hidden=32, layers=1)
    tiny_model(folder / "marked", template=MARKED, hidden=32, layers=1)
    tiny_model(folder / "plain", template=PLAIN, hidden=32, layers=1)
    dpo_file(folder)
    sft_file(folder)
    return folder


@pytest.fixture(scope="module")
def full(home: Path) -> TrainingResult:
    """All weights trained for some steps."""
    config = DpoConfig(method="full", max_steps=20, batch=2, lr=1e-3, save_every=10)
    return dpo(str(home / "base"), home / "dpo.jsonl", home / "students" / "full", config, seed=0)


def evidence(home: Path, tmp_path: Path, base: str = "base", trainer: Any = None, **more: Any) -> PairsEvidence:
    """What the proofs on pairs look at, of a trainer that has not started."""
    config = DpoConfig(method=more.pop("method", "full"), batch=2)
    job = Job(str(home / base), home / "dpo.jsonl", tmp_path / "out", config, 0)
    method = Dpo("dpo")
    tok = load_tokenizer(home / base, training=True)
    opened = open_base(job.base, find_weights(job.base), config)
    made = method.prepare(method.read(job), tok, opened.positions, job)
    classes = (trainer or method.trainer()[0], method.trainer()[1])
    options = {"max_length": made.max_length, **made.options, **more}
    folder = tmp_path / "partial"
    folder.mkdir()
    built = build_trainer(
        opened, tok, made.dataset, config, folder, seed=0, rows=made.number, desc="x", options=options, classes=classes
    )
    return PairsEvidence(tok, made.rows, built)


def margins(model: Any, tok: Any, home: Path) -> list[float]:
    """How much likelier the better turn of each pair is."""
    pairs = read_pairs(home / "dpo.jsonl", "native")
    return [by_hand(model, pair.chosen, tok)[0] - by_hand(model, pair.rejected, tok)[0] for pair in pairs]


def test_the_better_turn_becomes_likelier_and_the_folder_tells_it(home: Path, full: TrainingResult) -> None:
    import torch

    tok = load_tokenizer(full.out)
    before, after = (
        margins(load_model(str(path), torch.device("cpu")), tok, home) for path in (home / "base", full.out)
    )
    assert all(now > then + 1 for then, now in zip(before, after, strict=True))
    assert full.first_loss == pytest.approx(0.6931, abs=1e-3), "the student begins as its reference: log 2"
    assert full.last_loss is not None and full.last_loss < 0.62
    curve = [json.loads(line) for line in (full.out / "losses.jsonl").read_text().splitlines()]
    assert curve[-1]["accuracies"] == 1.0 and curve[-1]["margins"] > curve[0]["margins"]
    story = json.loads((full.out / "training.json").read_text())
    assert story["kind"] == "dpo" and story["rows"] == 6 and story["config"]["beta"] == 0.1
    assert 0 < story["trained_tokens"] < story["tokens"]
    proofs = json.loads((full.out / "proofs.json").read_text())
    assert [each["name"] for each in proofs] == ["length", "template", "mask", "saved", "changed", "served"]
    assert all(each["passed"] for each in proofs)


def test_an_adapter_is_trained_against_its_base_and_merges(home: Path, tmp_path: Path) -> None:
    config = DpoConfig(max_steps=6, batch=2, r=4, lr=1e-2)
    done = dpo(str(home / "base"), home / "dpo.jsonl", tmp_path / "lora", config, seed=0)
    assert [each.name for each in done.proofs][-1] == "merge"
    assert done.first_loss == pytest.approx(0.6931, abs=1e-3)
    again = dpo(str(done.out), home / "dpo.jsonl", tmp_path / "more", config, seed=0)
    assert again.first_loss == pytest.approx(0.6931, abs=1e-3), "its reference is the adapter before, merged"


@pytest.mark.parametrize("base", ["base", "marked", "plain"])
def test_the_tokens_of_a_turn_are_those_that_sft_trains(home: Path, base: str) -> None:
    from finetune.rows import masked_dataset
    from finetune.trainer import quiet_libraries

    tok = load_tokenizer(home / base, training=True)
    rows = read_episodes(home / "sft.jsonl")
    labels = masked_dataset(rows, tok)["labels"]
    if base != "plain":
        config = SftConfig(method="full")
        opened = open_base(str(home / base), find_weights(str(home / base)), config)
        with quiet_libraries():
            built = build_trainer(
                opened,
                tok,
                episodes_dataset(rows, tok),
                config,
                home,
                seed=0,
                rows=3,
                desc="x",
                options={"assistant_only_loss": True, "max_length": 1024},
                classes=Sft("sft").trainer(),
            )
        labels = built.train_dataset["labels"]
    pairs = read_pairs(home / "dpo.jsonl", "native")
    for at, row in enumerate(labels):
        last = tokens_of(pairs[2 * at + 1].chosen, tok)[1]
        first = tokens_of(pairs[2 * at].chosen, tok)[1]
        trained = [token for token in row if token != -100 and tok.decode([token]).strip()]
        assert trained == [token for token in [*first, *last] if tok.decode([token]).strip()]


@pytest.mark.parametrize("method", ["full", "lora"])
def test_the_mask_proof_computes_the_log_probabilities_by_hand(home: Path, tmp_path: Path, method: str) -> None:
    found = evidence(home, tmp_path, method=method)
    assert prove_template(found).passed
    proof = prove_mask(found)
    assert proof.passed, proof.detail
    assert proof.numbers["pairs"] == 4 and float(proof.numbers["max_difference"]) < 1e-4
    expected, count = by_hand(found.trainer.model, found.pairs[0].chosen, found.tok)
    assert found.trainer.log_probabilities(found.trainer.train_dataset[0])[0] == pytest.approx(expected, rel=1e-4)
    assert count == len(found.trainer.train_dataset[0]["chosen_ids"])


def broken(change: str) -> Any:
    """The trainer with a mask, or a reference, that is not what it should be."""
    from finetune.dpo_trainer import PairTrainer

    class Broken(PairTrainer):
        def collated(self, rows: list[dict[str, Any]]) -> dict[str, Any]:
            batch = super().collated(rows)
            mask = batch["completion_mask"]
            if change == "prompt counts":
                batch["completion_mask"] = batch["attention_mask"]
            elif change == "the last token is left out":
                ends = mask.shape[1] - 1 - mask.flip(1).argmax(1)
                mask[range(len(ends)), ends] = 0
            return batch

        def _precompute_ref_logps(self, dataset: Any, name: str, batch_size: int) -> Any:
            made = super()._precompute_ref_logps(dataset, name, batch_size)
            if change != "another reference":
                return made
            other = [value - 5.0 for value in made["ref_chosen_logps"]]
            return made.remove_columns("ref_chosen_logps").add_column("ref_chosen_logps", other)

    return Broken


@pytest.mark.parametrize("change", ["prompt counts", "the last token is left out", "another reference"])
def test_a_broken_mask_makes_the_proof_fail(home: Path, tmp_path: Path, change: str) -> None:
    proof = prove_mask(evidence(home, tmp_path, trainer=broken(change)))
    assert not proof.passed
    whose = "the reference" if change == "another reference" else "the trainer"
    assert f"chosen: {whose} counts a log-probability of" in proof.detail


def test_a_turn_that_is_cut_or_begins_elsewhere_fails_the_template_proof(home: Path, tmp_path: Path) -> None:
    found = evidence(home, tmp_path)
    rows = [dict(row) for row in found.trainer.train_dataset]
    rows[1]["chosen_ids"] = rows[1]["chosen_ids"][:-1]
    found.trainer.train_dataset = rows
    assert "the end-of-turn token is not its last one" in prove_template(found).detail
    rows[1]["prompt_ids"] = rows[1]["prompt_ids"][:-1]
    assert "does not go on from its prompt" in prove_template(found).detail


def test_a_blocked_training_leaves_nothing(home: Path, tmp_path: Path) -> None:
    config = DpoConfig(method="full", max_length=20)
    with pytest.raises(ProofError, match=r"6 of 6 rows would be cut, .* set \[dpo\] max_length to"):
        dpo(str(home / "base"), home / "dpo.jsonl", tmp_path / "out", config, seed=0)
    assert not list(tmp_path.iterdir())


def test_rows_that_are_no_pairs_are_named(home: Path, tmp_path: Path) -> None:
    path = tmp_path / "dpo.jsonl"
    path.write_text("")
    with pytest.raises(StageError, match=r"holds no pair: .* raise \[collect\] samples"):
        dpo(str(home / "base"), path, tmp_path / "out", DpoConfig(), seed=0)
    row = pair_rows()[0]
    path.write_text(json.dumps(row) + "\n" + json.dumps({**row, "rejected": {"role": "user", "content": "x"}}) + "\n")
    with pytest.raises(StageError, match=r"line 2: no 'messages' with the assistant turns"):
        dpo(str(home / "base"), path, tmp_path / "out", DpoConfig(), seed=0)


def test_a_killed_training_goes_on_with_the_same_reference(home: Path, tmp_path: Path, full: TrainingResult) -> None:
    from finetune.memory import release
    from finetune.training import train

    class Stopped(Exception):
        pass

    class Once(Dpo):
        """Stops in the middle, as a killed process does."""

        def trainer(self) -> tuple[Any, Any]:
            kind, arguments = super().trainer()

            class Stopping(kind):  # type: ignore[misc, valid-type]
                def training_step(self, *given: Any, **named: Any) -> Any:
                    if self.state.global_step == 13:
                        raise Stopped
                    return super().training_step(*given, **named)

            return Stopping, arguments

    config = DpoConfig(method="full", max_steps=20, batch=2, lr=1e-3, save_every=10)
    job = Job(str(home / "base"), home / "dpo.jsonl", tmp_path / "student", config, 0)
    method = Once("dpo")
    with pytest.raises(Stopped):
        train(method, job, method.read(job))
    release()
    done = dpo(job.base, job.data, job.out, config, seed=0)
    assert (done.resumed_from, done.steps) == (10, 20)
    assert done.last_loss == pytest.approx(full.last_loss, rel=1e-3)


def test_training_is_silent(home: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    dpo(str(home / "base"), home / "dpo.jsonl", tmp_path / "out", DpoConfig(max_steps=2, r=2), seed=0)
    assert capfd.readouterr() == ("", "")


def test_pairs_spoken_as_text_hold_no_tools(home: Path, tmp_path: Path) -> None:
    config = DpoConfig(method="full", max_steps=2, batch=2, lr=1e-3)
    done = dpo(str(home / "plain"), home / "dpo.jsonl", tmp_path / "out", config, seed=0, transport="hermes")
    assert all(each.passed for each in done.proofs)
    assert all(not pair.chosen.tools for pair in read_pairs(home / "dpo.jsonl", "hermes"))


def test_places_to_look_at() -> None:
    assert spread(2, 4) == [0, 1]
    assert spread(10, 4) == [0, 3, 6, 9]


def test_learning_rates() -> None:
    assert DpoConfig(lr=0.5).rate(1) == 0.5
    assert [DpoConfig(method="full").rate(n) for n in (10**6, 10**9)] == [5e-5, 1e-6]
    assert [DpoConfig().rate(n) for n in (10**6, 10**9)] == [1e-4, 1e-5]


def test_sft_then_dpo_starts_from_sft(home: Path, tmp_path: Path) -> None:
    first = sft(
        str(home / "base"), home / "sft.jsonl", tmp_path / "sft", SftConfig(method="full", max_steps=3, batch=3), seed=0
    )
    config = DpoConfig(method="full", max_steps=2, batch=2, lr=1e-3)
    done = dpo(str(first.out), home / "dpo.jsonl", tmp_path / "dpo", config, seed=0)
    assert done.base == str(first.out)
