"""Learns the judgement of `judge.py` from examples: logistic regression of three classes, fitted by L-BFGS."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.sparse import csr_matrix

from cestas.judge import Judge, pieces_of

IDLE, NEED, ALARM = 0, 1, 2
"""The classes, in the order of the columns of the weights."""


@dataclass(frozen=True, slots=True)
class Example:
    """One text: its features, its folded words, and its class."""

    features: tuple[str, ...]
    words: tuple[str, ...]
    wanted: int


_SEEN_AT_LEAST, _PIECE_SEEN_AT_LEAST = 2, 4
"""Examples in which a feature or a piece has to occur to be weighed."""
_SCALE = 4.0
"""Of the values of features: the greater, the less `_RIDGE` holds their weights down; found by leaving authors out."""
_RIDGE = 0.25
_IMPORTANCE = (2.0, 1.0, 2.0)
"""How often an example of each class counts: speaking out of turn costs more than silence."""
_ITERATIONS_MAX = 200
_LEAST_WEIGHT = 0.03
"""Smaller weights change nothing and are left out."""

_Vector = NDArray[np.float64]


def fit(examples: Sequence[Example], need_at: float, alarm_at: float) -> Judge:
    """Learn from `examples`; the same examples give the same weights. Takes seconds for thousands of sentences."""
    names = _vocabulary(examples)
    matrix = _matrix(examples, {name: column for column, name in enumerate(names)})
    wanted = np.eye(3)[[example.wanted for example in examples]]
    importance = wanted @ np.array(_IMPORTANCE)
    size = matrix.shape[1]

    def loss(flat: _Vector) -> tuple[float, _Vector]:
        weights = flat.reshape(size, 3)
        scores = matrix @ weights
        scores -= scores.max(axis=1, keepdims=True)
        logs = scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))
        slope = matrix.T @ ((np.exp(logs) - wanted) * importance[:, None])
        held = weights.copy()
        held[-1] = 0.0
        slope += _RIDGE * held
        value = -float((importance * (logs * wanted).sum(axis=1)).sum()) + 0.5 * _RIDGE * float((held**2).sum())
        return value, slope.ravel()

    found = minimize(loss, np.zeros(size * 3), jac=True, method="L-BFGS-B", options={"maxiter": _ITERATIONS_MAX})
    return _judge(found.x.reshape(size, 3), names, need_at, alarm_at)


def _vocabulary(examples: Sequence[Example]) -> list[str]:
    features = Counter(name for example in examples for name in set(example.features))
    pieces = Counter(piece for example in examples for piece in {p for word in example.words for p in pieces_of(word)})
    kept = [name for name, count in features.items() if count >= _SEEN_AT_LEAST]
    return sorted({*kept, *(name for name, count in pieces.items() if count >= _PIECE_SEEN_AT_LEAST)})


def _matrix(examples: Sequence[Example], columns: dict[str, int]) -> csr_matrix:
    """One row an example, one column a feature and a last one of ones; rows as `Judge.judge` weighs them."""
    rows, places, values = [], [], []
    for row, example in enumerate(examples):
        for group in (example.features, [p for word in example.words for p in pieces_of(word)]):
            known = [columns[name] for name in group if name in columns]
            rows += [row] * len(known)
            places += known
            values += [_SCALE / np.sqrt(len(known) + 1)] * len(known)
        rows.append(row)
        places.append(len(columns))
        values.append(1.0)
    return csr_matrix((values, (rows, places)), shape=(len(examples), len(columns) + 1))


def _judge(weights: _Vector, names: Sequence[str], need_at: float, alarm_at: float) -> Judge:
    against_idle = weights[:, [NEED, ALARM]] - weights[:, [IDLE]]
    scaled = np.round(against_idle[:-1] * _SCALE, 2)
    kept = {
        name: (float(need), float(alarm))
        for name, (need, alarm) in zip(names, scaled, strict=True)
        if max(abs(need), abs(alarm)) >= _LEAST_WEIGHT
    }
    need, alarm = (round(float(value), 3) for value in against_idle[-1])
    return Judge(kept, (need, alarm), need_at, alarm_at)
