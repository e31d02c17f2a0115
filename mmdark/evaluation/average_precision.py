"""Precision, recall and average precision, at every score and at the 1000 thresholds of the official tools."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from mmdark.errors import InputError

NUM_THRESHOLDS = 1000
"""``thresh_num`` of ``evaluation.m``, the same for WIDER FACE and DARK FACE."""
MAX_DIFFERENCE = 0.01
"""Largest difference between official and exact AP without a warning."""


class PrecisionRecall(NamedTuple):
    """A curve and the area under it.

    Attributes:
        recall: shape ``(P,)``, non-decreasing.
        precision: shape ``(P,)``, without the envelope; NaN at points without detections.
        average_precision: area under the non-increasing envelope of the curve; NaN if there is no face.
    """

    recall: np.ndarray
    precision: np.ndarray
    average_precision: float


class Score(NamedTuple):
    """Official and exact results for the same detections.

    Attributes:
        official: at the official 1000 thresholds.
        exact: at every distinct score.
        num_faces: number of faces that are evaluated.
    """

    official: PrecisionRecall
    exact: PrecisionRecall
    num_faces: int


def difference_warning(scores: Mapping[str, Score]) -> list[str]:
    """A list with one line if official and exact AP differ by more than :data:`MAX_DIFFERENCE`; otherwise empty."""
    pairs = {name: (score.official.average_precision, score.exact.average_precision) for name, score in scores.items()}
    far = [
        f'{name} {official:.6f} and {exact:.6f}'
        for name, (official, exact) in pairs.items()
        if abs(official - exact) > MAX_DIFFERENCE
    ]
    if not far:
        return []
    return [
        f'official and exact AP differ: {"; ".join(far)}: the official tool counts at 1000 score thresholds only, so '
        'scores crowded into a narrow range lose; spread them, or compare detectors by the exact AP'
    ]


def exact_average_precision(scores: np.ndarray, is_true: np.ndarray, num_faces: int) -> PrecisionRecall:
    """Average precision over all points, without thresholds, so it only depends on the order of the scores.

    Detections of equal score form one step of the curve because no threshold separates them, so their order has no
    effect.

    Args:
        scores: one per detection, shape ``(N,)``, of any scale.
        is_true: whether the detection is the first to match its face, shape ``(N,)``.
        num_faces: number of ground-truth faces.

    Returns:
        The curve, with one point per distinct score in descending order.

    Raises:
        InputError: the shapes differ, a score is not finite, or there are more true detections than faces.

    Example:
        >>> exact_average_precision([0.9, 0.8, 0.7], [True, False, True], 2).average_precision
        0.8333333333333333
    """
    scores, is_true = np.asarray(scores, np.float64), np.asarray(is_true, bool)
    _check(scores, is_true, num_faces)
    if not np.isfinite(scores).all():
        raise InputError('a score is not a finite number; take that detection out')
    order = np.argsort(-scores, kind='stable')
    last_of_step = np.flatnonzero(np.diff(scores[order], append=-np.inf))
    found = np.cumsum(is_true[order])[last_of_step]
    return _curve(found, last_of_step + 1, num_faces)


def thresholded_average_precision(normalised: np.ndarray, is_true: np.ndarray, num_faces: int) -> PrecisionRecall:
    """Average precision at the official thresholds ``1 - t / 1000`` for ``t = 1 ... 1000``.

    Source: ``evaluation.m`` and ``VOCap.m`` of WIDER FACE's eval_tools, which DARK FACE's tool shares. ``normalised``
    are scores from :func:`normalised_scores`, shape ``(N,)``; NaN is below every threshold. Other arguments and errors
    are those of :func:`exact_average_precision`.
    """
    normalised, is_true = np.asarray(normalised, np.float64), np.asarray(is_true, bool)
    _check(normalised, is_true, num_faces)
    is_number = ~np.isnan(normalised)
    thresholds = 1 - np.arange(1, NUM_THRESHOLDS + 1) / NUM_THRESHOLDS
    detected = _count_at(normalised[is_number], thresholds)
    return _curve(_count_at(normalised[is_number & is_true], thresholds), detected, num_faces)


def normalised_scores(scores: np.ndarray, equal_is_one: bool = False) -> np.ndarray:
    """Scale the scores of a whole data set to the range [0, 1] in single precision, like ``norm_score.m``.

    The tool starts from ``realmin('single')`` and ``realmax('single')``, so MATLAB and Octave compute in single
    precision from there on. A score slightly below a threshold may then pass it, and negative scores do not reach 1.

    Args:
        scores: scores of all detections of the data set, shape ``(N,)``.
        equal_is_one: if all scores are equal, they become about 1 (DARK FACE's tool) instead of NaN, which is below
            every threshold (WIDER FACE's tool).

    Returns:
        Shape ``(N,)``, float64 with single precision values.

    Example:
        >>> normalised_scores(np.array([2.0, 4.0, 3.0]))
        array([0. , 1. , 0.5])
    """
    limits = np.finfo(np.float32)
    with np.errstate(all='ignore'):
        single = np.asarray(scores, np.float64).astype(np.float32)
        high, low = single.max(initial=limits.tiny), single.min(initial=limits.max)
        if equal_is_one and high == low:
            return (single - (low - np.float32(1))).astype(np.float64)
        return ((single - low) / (high - low)).astype(np.float64)


def _count_at(values: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    return len(values) - np.searchsorted(np.sort(values), thresholds, side='left')


def _check(scores: np.ndarray, is_true: np.ndarray, num_faces: int) -> None:
    if scores.ndim != 1 or scores.shape != is_true.shape:
        raise InputError(f'scores and is_true should be vectors of one length, not {scores.shape} and {is_true.shape}')
    if is_true.sum() > num_faces:
        raise InputError(f'{is_true.sum()} detections are true but there are {num_faces} faces; count each face once')


def _curve(found: np.ndarray, detected: np.ndarray, num_faces: int) -> PrecisionRecall:
    """The curve and the area under its envelope, from the numbers of found faces and of detections at each point."""
    with np.errstate(invalid='ignore'):
        recall, precision = found / np.float64(num_faces), found / detected
    envelope = np.fmax.accumulate(np.append(precision, 0.0)[::-1])[::-1]  # fmax ignores NaN, as MATLAB's max
    steps = np.diff(recall, prepend=0.0, append=1.0)
    return PrecisionRecall(recall, precision, float((steps * envelope).sum()) if num_faces else float('nan'))
