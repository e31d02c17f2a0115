"""Draw faces or other objects on an image so that it stays readable, even with three hundred of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import cv2
import numpy as np

from mmdark.errors import InputError

from .classes import FACE, Colour, colour_of, counted, name_of, noun_of

Rectangle = tuple[int, int, int, int]
"""Left, top, right and bottom in pixels, all inclusive."""

MAGENTA: Colour = (220, 80, 255)
"""Colour of annotated faces; colour-blind readers can distinguish it from :data:`GREEN`."""
OUTLINE: Colour = (24, 24, 24)
"""Colour of the outline around every line, for contrast on light skin and on the night sky."""
FONT = cv2.FONT_HERSHEY_DUPLEX
FONT_HEIGHT = 21
"""Height of a digit at scale 1, in pixels."""


def draw_faces(
    image: np.ndarray,
    boxes: np.ndarray,
    scores: np.ndarray | None = None,
    *,
    truth: np.ndarray | None = None,
    labels: bool | None = None,
    caption: bool = True,
    classes: np.ndarray | None = None,
    class_names: Sequence[str] = FACE,
) -> np.ndarray:
    """Return a copy of the image with boxes, scores and the number of faces (or objects, by class) drawn on it.

    Line widths and letters scale with the face and the image. Frames are drawn outside the boxes, so that small faces
    stay visible.

    Args:
        image: ``(H, W, 3)`` BGR uint8.
        boxes: ``(N, 4)``, x1, y1, x2, y2 in pixels; clipped to the image when drawn.
        scores: ``(N,)``; None to write no scores.
        truth: annotated faces, ``(M, 4)``, drawn in :data:`MAGENTA` below the other boxes.
        labels: True writes all scores, False none, None those that are not much wider than their face and cover no
            other face or score.
        caption: whether to write the number of faces, in the corner where it covers the fewest faces.
        classes: class of each box, ``(N,)``; 0 by default.
        class_names: class names of the detector. With several, each class has its own colour, and class names are
            written with the scores.

    Raises:
        InputError: the image is not ``(H, W, 3)`` uint8, the numbers of boxes, scores and classes differ, or a box is
            not finite.
    """
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise InputError(f'draw_faces needs a (H, W, 3) uint8 image, not {image.shape} {image.dtype}: convert it first')
    found = _rectangles(boxes, image)
    if scores is not None and len(scores) != len(found):
        raise InputError(f'{len(found)} boxes but {len(scores)} scores: draw_faces needs one score for each box')
    classes = np.zeros(len(found), int) if classes is None else np.asarray(classes)
    if len(classes) != len(found):
        raise InputError(f'{len(found)} boxes but {len(classes)} classes: draw_faces needs one class for each box')
    colours = [colour_of(label, len(class_names)) for label in classes.tolist()]
    drawn = np.ascontiguousarray(image).copy()
    if truth is not None:
        true = _rectangles(truth, image)
        _draw_frames(drawn, true, [MAGENTA] * len(true))
    _draw_frames(drawn, found, colours)
    if scores is not None and labels is not False:
        names = None if len(class_names) == 1 else [name_of(label, class_names) for label in classes.tolist()]
        for place, index, height in _labels(found, scores, image.shape[:2], labels is True, names):
            text = _label(scores[index], names and names[index])
            _write(drawn, place, text, height, colours[index], (0, 0, 0))
    if caption:
        _draw_caption(drawn, counted(len(found), noun_of(class_names)), found)
    return drawn


def _rectangles(boxes: np.ndarray, image: np.ndarray) -> list[Rectangle]:
    """Clip boxes to the image and round them to whole pixels."""
    boxes = np.asarray(boxes, np.float64).reshape(-1, 4)
    if not np.isfinite(boxes).all():
        raise InputError('draw_faces was given a box that is not finite: leave out boxes with NaN or infinity')
    border = np.array(image.shape[1::-1] * 2) - 1
    return [tuple(box) for box in np.rint(np.clip(boxes, 0, border)).astype(int).tolist()]


def _line_width(face: int, image: int) -> int:
    """Line width in pixels for a face whose shorter side is ``face``, in an image whose longer side is ``image``.

    The width is 1/20 of the face, but at most 1/500 of the image. It is at least 1/1600 of the image, because large
    photographs are viewed scaled down, unless that exceeds 1/4 of the face.
    """
    least = min(image / 1600, face / 4)
    return max(1, round(min(max(face / 20, least), max(image / 500, 1))))


def _draw_frames(image: np.ndarray, rectangles: Sequence[Rectangle], colours: Sequence[Colour]) -> None:
    """Draw frames; all outlines are drawn before all lines, so that no outline covers the line of another face."""
    widths = [_line_width(min(x2 - x1, y2 - y1), max(image.shape)) for x1, y1, x2, y2 in rectangles]
    for (x1, y1, x2, y2), width in zip(rectangles, widths, strict=True):
        edge = -(-width // 3)
        inner = edge if min(x2 - x1, y2 - y1) >= 24 else 0
        _frame(image, (x1 + inner, y1 + inner, x2 - inner, y2 - inner), inner + width + edge, OUTLINE)
    for rectangle, width, colour in zip(rectangles, widths, colours, strict=True):
        _frame(image, rectangle, width, colour)


def _frame(image: np.ndarray, rectangle: Rectangle, width: int, colour: Colour) -> None:
    """Draw a frame that extends ``width`` pixels outward from the rectangle's border, or inward at the image border."""
    height_, width_ = image.shape[:2]
    x1, y1, x2, y2 = rectangle
    left, top = max(x1 - width + 1, 0), max(y1 - width + 1, 0)
    right, bottom = min(x2 + width, width_), min(y2 + width, height_)
    image[top : top + width, left:right] = colour
    image[max(bottom - width, 0) : bottom, left:right] = colour
    image[top:bottom, left : left + width] = colour
    image[top:bottom, max(right - width, 0) : right] = colour


def _labels(
    faces: Sequence[Rectangle],
    scores: np.ndarray,
    size: tuple[int, int],
    always: bool,
    names: Sequence[str] | None = None,
) -> Iterator[tuple[Rectangle, int, int]]:
    """Yield the rectangle of a score (above or below its face), the face's index and the letter height.

    The highest scores come first. ``size`` is the height and width of the image; ``always`` includes scores that cover
    something or do not fit.
    """
    taken = np.array(faces, int).reshape(-1, 4)
    least = max(9, round(max(size) / 110))
    for index in np.argsort(-np.asarray(scores), kind='stable'):
        x1, y1, x2, y2 = faces[index]
        face = min(x2 - x1, y2 - y1)
        letters = int(np.clip(face / 9, least, 1.5 * least))
        width, height = _text_size(_label(scores[index], names and names[index]), letters)
        if not always and width > 1.25 * (x2 - x1 + 1):
            continue
        gap = _line_width(face, max(size)) - 1
        left = min(max(x1 - gap, 0), max(size[1] - width, 0))
        places = [(left, top, left + width - 1, top + height - 1) for top in (y1 - gap - height, y2 + gap + 1)]
        inside = [place for place in places if place[1] >= 0 and place[3] < size[0]]
        free = [place for place in inside if not _covers(place, np.delete(taken, index, axis=0))]
        if free or always:
            place = (free or inside or [(left, y1, left + width - 1, y1 + height - 1)])[0]
            taken = np.vstack([taken, place])
            yield place, index, letters


def _label(score: float, name: str | None) -> str:
    return f'{name} {score:.2f}' if name else f'{score:.2f}'


def _covers(place: Rectangle, others: np.ndarray) -> int:
    """Number of the rectangles ``(N, 4)`` that overlap ``place``."""
    x1, y1, x2, y2 = place
    return int(((others[:, 0] <= x2) & (others[:, 2] >= x1) & (others[:, 1] <= y2) & (others[:, 3] >= y1)).sum())


def _draw_caption(image: np.ndarray, text: str, faces: Sequence[Rectangle]) -> None:
    """Write a text into the corner where it covers the fewest faces (bottom left if equal); skip it if too large."""
    height, width = image.shape[:2]
    letters = max(11, round(max(height, width) / 70))
    wide, high = _text_size(text, letters)
    margin = letters // 2
    if wide + 2 * margin > width or 3 * high > height:
        return
    corners = [(x, y) for y in (height - margin - high, margin) for x in (margin, width - margin - wide)]
    others = np.array(faces, int).reshape(-1, 4)
    places = [(x, y, x + wide - 1, y + high - 1) for x, y in corners]
    _write(image, min(places, key=lambda place: _covers(place, others)), text, letters, OUTLINE, (255, 255, 255))


def _text_size(text: str, letters: int) -> tuple[int, int]:
    """Width and height of the background rectangle of a text whose letters are ``letters`` pixels high."""
    (width, _), _ = cv2.getTextSize(text, FONT, letters / FONT_HEIGHT, 1)
    return width + letters, letters + 2 * (letters // 3) + 1


def _write(image: np.ndarray, place: Rectangle, text: str, letters: int, plate: Colour, colour: Colour) -> None:
    """Write a text on a filled rectangle ``place``, whose size is that of :func:`_text_size`."""
    left, top, right, bottom = place
    image[max(top, 0) : bottom + 1, max(left, 0) : right + 1] = plate
    base = (left + letters // 2, bottom - letters // 3)
    cv2.putText(image, text, base, FONT, letters / FONT_HEIGHT, colour, max(1, letters // 16), cv2.LINE_AA)
