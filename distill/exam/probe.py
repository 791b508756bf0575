"""The options-only probe: a trained guesser that sees question and options, and has never seen the manual.

Hypothesis-only baselines showed that exams of many kinds can be passed without the text they ask about (Gururangan et
al. 2018, arXiv 1803.02324; Poliak et al. 2018, arXiv 1805.01042). Two models are trained on questions with their golds:
gradient boosting on surface features (cues.surface), and logistic regression on question words crossed with option
words (cues.crossed), which learns associations such as "a parameter of this name is mostly False". They are used
cross-fitted: a question is guessed by models that saw no question of its cell.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from .cues import crossed, surface
from .guessable import folds

HASHED = 2**16
"""Columns that crossed words are hashed into."""


class Asked(Protocol):
    """What the probe reads of a question; a Task has it."""

    @property
    def question(self) -> str:
        """The question alone."""

    @property
    def options(self) -> tuple[str, ...]:
        """The options in the order shown."""

    @property
    def gold(self) -> str:
        """The right one; read of training questions only."""


class Probe:
    """Guesses options from their looks; `fit` before `chances`.

    Args:
        seed: of the models' random numbers; another seed is another guesser of the same kind.
    """

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed
        self._surface: Any = None
        self._crossed: Any = None

    def fit(self, asked: Sequence[Asked]) -> Probe:
        """Learn from questions with their golds; returns itself."""
        from sklearn.ensemble import HistGradientBoostingClassifier
        from sklearn.linear_model import LogisticRegression
        from threadpoolctl import threadpool_limits

        labels = np.array([option == one.gold for one in asked for option in one.options])
        boosted = HistGradientBoostingClassifier(
            max_iter=80, learning_rate=0.08, max_leaf_nodes=12, l2_regularization=1.0, random_state=self.seed
        )
        self._crossed = LogisticRegression(solver="liblinear", C=0.5, random_state=self.seed)
        # One thread: the sums come out in the same order on every machine, and on a busy one threads wait for each
        # other a hundred times longer than they work.
        with threadpool_limits(1), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it says when it did not converge; a probe may stop early
            self._surface = boosted.fit(_table(asked), labels)
            self._crossed.fit(_hashed(asked), labels)
        return self

    def chances(self, asked: Sequence[Asked]) -> dict[str, Any]:
        """Name of the model -> (questions, options) array of each option's share of belief; rows sum to 1."""
        models = {
            "surface probe": self._surface.predict_proba(_table(asked))[:, 1],
            "association probe": self._crossed.predict_proba(_hashed(asked))[:, 1],
        }
        models["probe"] = models["surface probe"] * models["association probe"]
        return {name: _by_question(asked, values) for name, values in models.items()}


def cross_fitted(asked: Sequence[Asked], cells: Sequence[str], seed: int = 0) -> dict[str, Any]:
    """`Probe.chances` of every question by a probe that was trained on the questions of the other cells.

    Args:
        cells: one a question (Draft.cell).
    """
    fold = folds(cells)
    out: dict[str, Any] = {}
    width = max((len(one.options) for one in asked), default=0)
    for number in sorted(set(fold.tolist())):
        inside = [i for i in range(len(asked)) if fold[i] == number]
        train = [asked[i] for i in range(len(asked)) if fold[i] != number]
        if not inside or not train:
            continue
        for name, beliefs in Probe(seed).fit(train).chances([asked[i] for i in inside]).items():
            rows = out.setdefault(name, np.zeros((len(asked), width)))
            rows[inside, : beliefs.shape[1]] = beliefs
    return out


def hits(asked: Sequence[Asked], beliefs: Any) -> Any:
    """For each question the chance of being right by the strongest belief; ties share."""
    found = []
    for one, row in zip(asked, beliefs, strict=True):
        mine = row[: len(one.options)]
        best = [option for option, belief in zip(one.options, mine, strict=True) if belief >= mine.max() - 1e-12]
        found.append((one.gold in best) / len(best))
    return np.array(found)


def _table(asked: Sequence[Asked]) -> Any:
    return np.array([surface(one.question, one.options, at) for one in asked for at in range(len(one.options))])


def _hashed(asked: Sequence[Asked]) -> Any:
    from sklearn.feature_extraction import FeatureHasher

    rows = (crossed(one.question, option) for one in asked for option in one.options)
    return FeatureHasher(HASHED, input_type="string", alternate_sign=False).transform(rows)


def _by_question(asked: Sequence[Asked], values: Any) -> Any:
    width = max(len(one.options) for one in asked)
    out, at = np.zeros((len(asked), width)), 0
    for i, one in enumerate(asked):
        own = values[at : at + len(one.options)]
        out[i, : len(one.options)] = own / max(own.sum(), 1e-12)
        at += len(one.options)
    return out
