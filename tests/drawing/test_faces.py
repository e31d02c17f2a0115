"""Faces are framed where they are, scores hide no face, and the picture says how many there are."""

import itertools
import time

import numpy as np
import pytest

from mmdark.drawing import GREEN, MAGENTA, OUTLINE, draw_faces
from mmdark.drawing.faces import _labels, _rectangles, _text_size
from mmdark.errors import InputError

NOTHING = np.zeros((0, 4)), np.zeros(0)


def crowd(columns: int, rows: int, size: float, step: float) -> np.ndarray:
    """Faces of one size in rows and columns."""
    corners = np.array(list(itertools.product(np.arange(columns) * step, np.arange(rows) * step))) + 20
    return np.hstack([corners, corners + size])


def where(image: np.ndarray, colour: tuple[int, int, int]) -> tuple[int, int, int, int]:
    ys, xs = np.nonzero((image == colour).all(2))
    return xs.min(), ys.min(), xs.max(), ys.max()


@pytest.mark.parametrize('grey', [0, 7, 128, 255])
def test_a_face_is_framed_where_it_is_and_the_image_stays(grey: int) -> None:
    image = np.full((300, 400, 3), grey, np.uint8)
    drawn = draw_faces(image, np.array([[50.2, 60.0, 119.8, 150.0]]), caption=False)
    assert (image == grey).all() and drawn.shape == image.shape and drawn.dtype == np.uint8
    assert where(drawn, GREEN) == (50, 60, 120, 150)
    assert (drawn[60, 50:121] == GREEN).all() and (drawn[60:151, 120] == GREEN).all()
    assert (drawn[62:149, 52:119] == grey).all()
    for y, x in ((100, 49), (100, 51), (59, 80), (61, 80), (151, 80), (100, 121)):
        assert drawn[y, x].tolist() == list(OUTLINE)


def test_a_tiny_face_is_seen_within_its_frame() -> None:
    image = np.random.default_rng(0).integers(0, 256, (700, 1000, 3), np.uint8)
    drawn = draw_faces(image, np.array([[500.0, 300.0, 508.0, 310.0]]), np.array([0.9]), caption=False)
    np.testing.assert_array_equal(drawn[301:310, 501:508], image[301:310, 501:508])
    assert where(drawn, GREEN) == (500, 300, 508, 310)


@pytest.mark.parametrize(('face', 'image', 'width'), [(10, 1000, 1), (30, 1000, 2), (400, 1000, 2), (400, 6000, 12)])
def test_lines_follow_the_face_and_the_image(face: int, image: int, width: int) -> None:
    drawn = draw_faces(np.zeros((450, image, 3), np.uint8), np.array([[20, 20, 20 + face, 20 + face]]), caption=False)
    left, top, right, bottom = where(drawn, GREEN)
    assert (right - left + 1, bottom - top + 1) == (face + 1 + 2 * (width - 1),) * 2
    row = (drawn[20 + face // 2] == GREEN).all(1)
    assert row.sum() == 2 * width


def test_no_outline_cuts_the_line_of_a_neighbour() -> None:
    boxes = np.array([[20, 20, 60, 60], [40, 40, 80, 80], [61, 20, 100, 60]])
    drawn = draw_faces(np.full((200, 200, 3), 99, np.uint8), boxes, caption=False)
    for x1, y1, x2, y2 in boxes:
        assert (drawn[[y1, y2], x1 : x2 + 1] == GREEN).all() and (drawn[y1 : y2 + 1, [x1, x2]] == GREEN).all()


def test_annotated_faces_lie_under_what_was_found() -> None:
    image = np.zeros((200, 200, 3), np.uint8)
    drawn = draw_faces(image, np.array([[20, 20, 60, 60]]), truth=np.array([[20, 20, 80, 80]]), caption=False)
    assert where(drawn, GREEN) == (20, 20, 60, 60) and where(drawn, MAGENTA)[2:] == (80, 80)


@pytest.mark.parametrize('box', [[-30, -30, 500, 500], [0, 0, 3, 3], [190, 190, 199, 199], [5.5, 5.5, 5.5, 5.5]])
@pytest.mark.parametrize('labels', [True, None])
def test_boxes_at_and_beyond_the_border(box: list[float], labels: bool | None) -> None:
    drawn = draw_faces(np.zeros((200, 200, 3), np.uint8), np.array([box], float), np.array([1.0]), labels=labels)
    left, top, right, bottom = where(drawn, GREEN)
    edges = np.rint(np.clip(box, 0, 199))
    assert left <= edges[0] and top <= edges[1] and right >= edges[2] and bottom >= edges[3]


def test_no_face_and_no_caption_change_nothing() -> None:
    image = np.full((50, 50, 3), 9, np.uint8)
    np.testing.assert_array_equal(draw_faces(image, *NOTHING, caption=False), image)


@pytest.mark.parametrize('labels', [None, True, False])
def test_a_score_stands_above_its_face_when_it_is_asked_for(labels: bool | None) -> None:
    image = np.zeros((400, 600, 3), np.uint8)
    drawn = draw_faces(image, np.array([[100, 100, 200, 220]]), np.array([0.87]), labels=labels, caption=False)
    assert drawn[60:98, 100:200].any() == (labels is not False)
    assert not drawn[103:218, 103:198].any()


def test_scores_hide_no_face_and_no_score() -> None:
    rng = np.random.default_rng(1)
    corners = rng.uniform(0, [950, 650], (60, 2))
    boxes = np.hstack([corners, corners + rng.uniform(20, 120, (60, 1))])
    image, scores = np.zeros((700, 1000, 3), np.uint8), rng.uniform(0.3, 1, 60)
    faces = _rectangles(boxes, image)
    labels = list(_labels(faces, scores, (700, 1000), always=False))
    assert 3 < len(labels) < 60
    places = np.array([place for place, _, _ in labels])
    covered = np.zeros((700, 1000), int)
    for x1, y1, x2, y2 in places:
        covered[y1 : y2 + 1, x1 : x2 + 1] += 1
    assert covered.max() == 1
    assert covered.sum() == sum((x2 - x1 + 1) * (y2 - y1 + 1) for x1, y1, x2, y2 in places)  # all of it in the image
    for x1, y1, x2, y2 in faces:
        assert not covered[y1 : y2 + 1, x1 : x2 + 1].any()
    assert len(list(_labels(faces, scores, (700, 1000), always=True))) == 60


def test_three_hundred_small_faces_keep_their_pixels_and_have_no_scores() -> None:
    image = np.random.default_rng(0).integers(0, 256, (700, 1000, 3), np.uint8)
    boxes = crowd(30, 10, 12, 30)
    start = time.process_time()
    drawn = draw_faces(image, boxes, np.linspace(1, 0.3, 300), caption=False)
    assert time.process_time() - start < 1  # of this process, however busy the machine is
    for x1, y1, x2, y2 in boxes.astype(int):
        np.testing.assert_array_equal(drawn[y1 + 1 : y2, x1 + 1 : x2], image[y1 + 1 : y2, x1 + 1 : x2])
        assert (drawn[y1, x1 : x2 + 1] == GREEN).all()
    assert (drawn == image).all(2).mean() > 0.8


@pytest.mark.parametrize(('count', 'text'), [(0, '0 faces'), (1, '1 face'), (2, '2 faces')])
def test_the_caption_counts_and_keeps_out_of_the_faces(count: int, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    written = []
    monkeypatch.setattr('mmdark.drawing.faces._write', lambda image, place, *rest: written.append((place, rest[0])))
    image = np.zeros((400, 600, 3), np.uint8)
    boxes = np.array([[0, 300, 90, 399], [500, 10, 590, 90]])[:count]
    draw_faces(image, boxes)
    ((left, top, right, bottom), said), *others = written
    assert said == text and not others and _text_size(text, 11) == (right - left + 1, bottom - top + 1)
    assert (left < 300) == (count == 0) and top > 300


@pytest.mark.parametrize('shape', [(1, 1), (8, 300), (300, 20), (40, 60)])
def test_small_images_are_drawn_without_what_does_not_fit(shape: tuple[int, int]) -> None:
    drawn = draw_faces(np.full((*shape, 3), 50, np.uint8), np.array([[0, 0, 5, 5]]), np.array([0.5]), labels=True)
    assert drawn.shape == (*shape, 3)


@pytest.mark.parametrize(
    ('image', 'boxes', 'scores', 'line'),
    [
        (np.zeros((9, 9), np.uint8), np.zeros((0, 4)), None, r'not \(9, 9\) uint8'),
        (np.zeros((9, 9, 3)), np.zeros((0, 4)), None, 'float64: convert'),
        (np.zeros((9, 9, 3), np.uint8), np.ones((2, 4)), np.ones(1), '2 boxes but 1 scores'),
        (np.zeros((9, 9, 3), np.uint8), np.full((1, 4), np.nan), None, 'not finite'),
    ],
)
def test_what_cannot_be_drawn_is_said(image: np.ndarray, boxes: np.ndarray, scores: object, line: str) -> None:
    with pytest.raises(InputError, match=line):
        draw_faces(image, boxes, scores)
