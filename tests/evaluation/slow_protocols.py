"""Both official protocols as plain loops over single numbers: an oracle for the fast ones.

WIDER FACE: what joins an integer and a double is an integer. Every operation says so, with Python's exact decimals.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from decimal import ROUND_HALF_UP, Decimal

import numpy as np

Row = Sequence[float]


def int32(value: float) -> int:
    """Half away from zero, no further than the type reaches."""
    whole = int(Decimal(value).to_integral_value(ROUND_HALF_UP))
    return max(-(2**31), min(2**31 - 1, whole))


def single(value: float) -> float:
    return struct.unpack('f', struct.pack('f', value))[0]


def integer_iou(face: Row, box: Row) -> int:
    """Of an int32 face and a double box, both x1 y1 x2 y2."""
    x1, y1 = (max(int(face[i]), int32(box[i])) for i in (0, 1))
    x2, y2 = (min(int(face[i]), int32(box[i])) for i in (2, 3))
    width, height = int32(x2 - x1 + 1), int32(y2 - y1 + 1)
    if width <= 0 or height <= 0:
        return 0
    shared = int32(width * height)
    face_area = (int(face[2]) - int(face[0]) + 1) * (int(face[3]) - int(face[1]) + 1)
    union = int32(face_area + (box[2] - box[0] + 1) * (box[3] - box[1] + 1)) - shared
    if union == 0:
        return 2**31 - 1
    return int(Decimal(2 * shared + union) // Decimal(2 * union))


def double_iou(face: Row, box: Row) -> float:
    width = min(face[2], box[2]) - max(face[0], box[0]) + 1
    height = min(face[3], box[3]) - max(face[1], box[1]) + 1
    if width <= 0 or height <= 0:
        return 0.0
    areas = [(b[2] - b[0] + 1) * (b[3] - b[1] + 1) for b in (face, box)]
    return width * height / (sum(areas) - width * height)


def scaled(predictions: Mapping[str, np.ndarray], equal_is_one: bool) -> dict[str, list[float]]:
    """Scores in single precision, each operation."""
    low, high = single(3.4028234663852886e38), single(1.1754943508222875e-38)
    for rows in predictions.values():
        for row in rows:
            low, high = min(low, single(row[4])), max(high, single(row[4]))

    def scale(score: float) -> float:
        if high == low:
            return single(single(score) - single(low - 1)) if equal_is_one else float('nan')
        return single(single(single(score) - low) / single(high - low))

    return {name: [scale(row[4]) for row in rows] for name, rows in predictions.items()}


def slow_official(
    predictions: Mapping[str, np.ndarray],
    faces: Mapping[str, np.ndarray],
    kept: Mapping[str, Sequence[int]] | None,
    integers: bool,
) -> float:
    """Official AP; all boxes x1 y1 x2 y2. ``kept`` None: all faces."""
    predictions = {n: sorted(predictions.get(n, ()), key=lambda row: -row[4]) for n in faces}
    scores = scaled(predictions, equal_is_one=not integers)
    total = sum(len(rows) if kept is None else len(kept[name]) for name, rows in faces.items())
    detected, found = [0] * 1000, [0] * 1000
    for name, rows in faces.items():
        seen, state = set(), []
        for row in predictions[name] if len(rows) else ():
            overlaps = [(integer_iou if integers else double_iou)(face, row) for face in rows]
            place = overlaps.index(max(overlaps))
            hit = overlaps[place] >= 0.5
            ignored = hit and kept is not None and place not in kept[name]
            state.append((not ignored, hit and not ignored and place not in seen))
            seen |= {place} if hit and not ignored else set()
        for step in range(1000):
            reach = [i for i in range(len(state)) if scores[name][i] >= 1 - (step + 1) / 1000]
            last = reach[-1] + 1 if reach else 0
            detected[step] += sum(counts for counts, _ in state[:last])
            found[step] += sum(true for _, true in state[:last])
    points = [(f / total, f / d) for f, d in zip(found, detected, strict=True) if d]
    return slow_area(points)


def slow_area(points: Sequence[tuple[float, float]]) -> float:
    """Sum over rising recall of the best precision at that recall or beyond."""
    area, before = 0.0, 0.0
    for recall in sorted({r for r, _ in points}):
        area += (recall - before) * max(p for r, p in points if r >= recall)
        before = recall
    return area


def plain_iou(a: list[float], b: list[float]) -> float:
    """Nothing is added to widths and heights."""
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    shared = max(width, 0) * max(height, 0)
    return shared / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared)


def slow_counted_precision(images: list[tuple[list, list, list]], least: float = 0) -> float:
    """AP in percent of the faces that count, one detection after another: (detections, faces, which count) an image.

    The area under the envelope is summed at each true detection.
    """
    events = []
    for found, faces, counts in images:
        taken = set()
        for row in sorted(found, key=lambda row: -row[4]):
            touched = [index for index, face in enumerate(faces) if plain_iou(row, face) >= 0.5]
            free = [index for index in touched if counts[index] and index not in taken]
            if free:
                taken.add(max(free, key=lambda index: plain_iou(row, faces[index])))
                events.append((row[4], True))
            elif all(counts[index] for index in touched) and row[3] - row[1] >= least:
                events.append((row[4], False))
    events.sort(key=lambda event: -event[0])
    precisions, true = [], 0
    for number, (_, hit) in enumerate(events, 1):
        true += hit
        precisions.append(true / number)
    total = sum(sum(counts) for _, _, counts in images)
    return 100 * sum(max(precisions[place:]) for place, (_, hit) in enumerate(events) if hit) / total
