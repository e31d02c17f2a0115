"""Box voting against what the authors' script printed, an independent slow voting, and what must hold for any boxes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from mmdark.models.box_voting import box_voting, keeps_size, not_nested, part_inside

GOLDEN = Path(__file__).resolve().parents[3] / 'shared' / 'golden'
golden = pytest.mark.skipif(not GOLDEN.is_dir(), reason=f'golden numbers are not at {GOLDEN}')


def crowd(seed: int, faces: int = 12, boxes: int = 90) -> tuple[Tensor, Tensor]:
    """Boxes that jitter around a few faces, some overlapping, each with a score of its own; float64."""
    rng = np.random.default_rng(seed)
    centre, side = rng.uniform(0, 300, (faces, 2)), rng.uniform(4, 80, (faces, 2))
    which = rng.integers(faces, size=boxes)
    jitter = rng.normal(0, 0.2, (boxes, 4))
    corners = np.hstack([centre - side / 2, centre + side / 2])[which] + jitter * np.tile(side[which], 2)
    return torch.from_numpy(corners), torch.from_numpy(rng.permutation(boxes) / boxes + 0.5 / boxes)


def slow_voting(rows: list[list[float]], threshold: float, drop: bool) -> list[list[float]]:
    """Voting in plain Python, one pair of boxes after the other: x1 y1 x2 y2 score in and out."""

    def length(start: float, end: float) -> float:
        return max(0.0, end - start + 1)

    def overlap(a: list[float], b: list[float]) -> float:
        both = length(max(a[0], b[0]), min(a[2], b[2])) * length(max(a[1], b[1]), min(a[3], b[3]))
        return both / (length(a[0], a[2]) * length(a[1], a[3]) + length(b[0], b[2]) * length(b[1], b[3]) - both)

    rows, merged = sorted(rows, key=lambda row: row[4])[::-1], []
    while rows:
        cluster = [row for row in rows if overlap(rows[0], row) >= threshold]
        rows = [row for row in rows if row not in cluster]
        total = sum(row[4] for row in cluster)
        if len(cluster) > 1 or not drop:
            merged.append([sum(row[i] * row[4] for row in cluster) / total for i in range(4)] + [cluster[0][4]])
    return merged


def joined(voted: tuple[Tensor, Tensor]) -> np.ndarray:
    return torch.cat([voted[0], voted[1][:, None]], 1).numpy()


@golden
@pytest.mark.parametrize('index', range(4))
def test_published_voting(index: int) -> None:
    arrays = np.load(GOLDEN / 'box_voting.npz')
    case = json.loads((GOLDEN / 'box_voting.json').read_text())[index]
    given = torch.from_numpy(arrays[f'merged_in_{index}'])
    voted = box_voting(given[:, :4], given[:, 4], drop_singletons=True)
    assert len(voted[0]) == case['voted']
    assert np.abs(joined(voted) - arrays[f'voted_{index}']).max() < 1e-4


@pytest.mark.parametrize('drop', [False, True])
@pytest.mark.parametrize(('seed', 'threshold'), [(0, 0.3), (1, 0.5), (2, 0.05), (3, 0.7)])
def test_agrees_with_slow_voting(seed: int, threshold: float, drop: bool) -> None:
    boxes, scores = crowd(seed)
    slow = slow_voting(torch.cat([boxes, scores[:, None]], 1).tolist(), threshold, drop)
    voted = joined(box_voting(boxes, scores, threshold, drop_singletons=drop))
    assert 2 < len(voted) < 90
    np.testing.assert_allclose(voted, slow, rtol=0, atol=1e-9)


def published_voting(rows: np.ndarray, threshold: float = 0.3) -> np.ndarray:
    """The steps of the published script in NumPy: ``argsort()[::-1]``, clusters of one are dropped."""
    rows, merged = rows[rows[:, 4].argsort(kind='stable')[::-1]], []
    while len(rows):
        areas = (rows[:, 2] - rows[:, 0] + 1) * (rows[:, 3] - rows[:, 1] + 1)
        width = np.minimum(rows[0, 2], rows[:, 2]) - np.maximum(rows[0, 0], rows[:, 0]) + 1
        height = np.minimum(rows[0, 3], rows[:, 3]) - np.maximum(rows[0, 1], rows[:, 1]) + 1
        shared = width.clip(0) * height.clip(0)
        together = shared / (areas[0] + areas - shared) >= threshold
        cluster, rows = rows[together], rows[~together]
        if len(cluster) > 1:
            mean = (cluster[:, :4] * cluster[:, 4:]).sum(0) / cluster[:, 4].sum()
            merged.append([*mean, cluster[:, 4].max()])
    return np.array(merged)


@pytest.mark.parametrize('equal', ['saturated', 'rounded', 'all'])
@pytest.mark.parametrize('seed', range(4))
def test_equal_scores_are_taken_in_the_published_order(seed: int, equal: str) -> None:
    """Which of them starts a cluster decides about the clusters, and how many boxes there are."""
    boxes, scores = crowd(seed, faces=6, boxes=60)
    scores = {'saturated': (2 * scores).clamp(max=1), 'rounded': (4 * scores).ceil() / 4, 'all': 0 * scores + 1}[equal]
    expected = published_voting(torch.cat([boxes, scores[:, None]], 1).numpy())
    voted = joined(box_voting(boxes, scores, drop_singletons=True))
    assert voted.shape == expected.shape
    np.testing.assert_allclose(voted, expected, rtol=0, atol=1e-9)


def test_published_voting_of_saturated_scores() -> None:
    """30 of 60 scores are 1.0. Starting from the first of them gives 14 boxes, the script of DAI-Net printed these 15.

    It was run with a stable ``argsort``. With NumPy's default one, which here mixes equal scores, its boxes are the
    same in another order; in most such cases they are others, so there is no order but the stable one to follow.
    """
    boxes, scores = crowd(12, faces=14, boxes=60)
    scores = (2 * scores).clamp(max=1)
    voted = joined(box_voting(boxes, scores, drop_singletons=True))
    assert len(voted) == 15 and (scores == 1).sum() == 30
    np.testing.assert_allclose(
        voted.sum(0), [1542.794222, 2437.673941, 2281.797360, 3119.181038, 15], rtol=0, atol=1e-5
    )
    np.testing.assert_allclose(voted[0], [8.388592, 233.170066, 29.055146, 321.305338, 1], rtol=0, atol=1e-6)
    np.testing.assert_allclose(voted[-1], [14.728762, 29.524910, 88.546479, 59.998799, 1], rtol=0, atol=1e-6)
    first_starts = joined(box_voting(boxes.flip(0), scores.flip(0), drop_singletons=True))
    assert len(first_starts) == 14


def test_the_last_of_equal_scores_starts() -> None:
    """A box between two pairs overlaps both by 0.54, and they each other by 0.25: first it would take all five."""
    left = torch.tensor([3.0, 0.0, 0.0, 6.0, 6.0])
    boxes = torch.stack([left, left * 0, left + 9, left * 0 + 9], 1)
    voted, scores = box_voting(boxes, torch.ones(5), drop_singletons=True)
    assert voted[:, 0].tolist() == pytest.approx([5, 0]) and scores.tolist() == [1, 1]
    alone, _ = box_voting(boxes.flip(0), torch.ones(5), drop_singletons=True)
    assert alone[:, 0].tolist() == pytest.approx([3])


@pytest.mark.parametrize('seed', range(3))
def test_the_order_of_boxes_does_not_matter(seed: int) -> None:
    boxes, scores = crowd(seed)
    order = torch.randperm(len(boxes), generator=torch.Generator().manual_seed(seed))
    one, other = box_voting(boxes, scores), box_voting(boxes[order], scores[order])
    torch.testing.assert_close(one, other, rtol=0, atol=0)
    assert (one[1].diff() < 0).all()


def test_one_cluster_lies_between_its_boxes_nearer_to_the_surer_one() -> None:
    boxes = torch.tensor([[10.0, 10.0, 30.0, 30.0], [14.0, 10.0, 34.0, 30.0]])
    voted, scores = box_voting(boxes, torch.tensor([0.2, 0.6]))
    torch.testing.assert_close(voted, torch.tensor([[13.0, 10.0, 33.0, 30.0]]))
    assert scores.tolist() == [pytest.approx(0.6)]


def test_sides_have_one_pixel_more() -> None:
    """Two boxes of 1 x 9 pixels, 10 x 2 as counted, that share 5 x 2: a third overlaps, of the bare boxes a tenth."""
    boxes, scores = torch.tensor([[0.0, 0.0, 9.0, 1.0], [5.0, 0.0, 14.0, 1.0]]), torch.tensor([0.9, 0.8])
    assert len(box_voting(boxes, scores, iou_threshold=1 / 3 - 1e-6)[0]) == 1
    assert len(box_voting(boxes, scores, iou_threshold=1 / 3 + 1e-6)[0]) == 2


def test_singletons_are_kept_as_they_are_unless_dropped() -> None:
    boxes = torch.tensor([[0.0, 0.0, 20.0, 20.0], [100.1, 0.0, 120.7, 20.3], [1.0, 0.0, 21.0, 20.0]])
    scores = torch.tensor([0.5, 0.7, 0.4])
    kept, dropped = box_voting(boxes, scores), box_voting(boxes, scores, drop_singletons=True)
    assert kept[0][0].tolist() == boxes[1].tolist() and kept[1].tolist() == scores[[1, 0]].tolist()
    torch.testing.assert_close(dropped, (kept[0][1:], kept[1][1:]))


@pytest.mark.parametrize('drop', [False, True])
@pytest.mark.parametrize('dtype', [torch.float16, torch.float32, torch.float64])
def test_nothing_in_nothing_out(drop: bool, dtype: torch.dtype) -> None:
    boxes, scores = box_voting(torch.zeros(0, 4, dtype=dtype), torch.zeros(0, dtype=dtype), drop_singletons=drop)
    assert boxes.shape == (0, 4) and scores.shape == (0,) and boxes.dtype == scores.dtype == dtype
    alone = box_voting(torch.ones(1, 4, dtype=dtype), torch.ones(1, dtype=dtype), drop_singletons=drop)
    assert len(alone[0]) == len(alone[1]) == (0 if drop else 1) and alone[0].dtype == dtype


def test_only_the_best_are_returned() -> None:
    """800 faces apart from each other, seen twice each: the first 750 by score."""
    corner = torch.arange(800.0)[:, None] * torch.tensor([20.0, 0.0])
    boxes = torch.cat([corner, corner + 10], 1).repeat(2, 1)
    scores = torch.linspace(0.1, 0.9, 1600)
    all_boxes, all_scores = box_voting(boxes, scores, max_per_img=10000)
    assert len(all_boxes) == 800
    best_boxes, best_scores = box_voting(boxes, scores)
    assert torch.equal(best_boxes, all_boxes[:750]) and torch.equal(best_scores, all_scores[:750])
    assert best_scores[0] == scores.max()


def test_boxes_without_an_area_or_a_number_come_to_an_end() -> None:
    """The published loop never ends on the first of them."""
    boxes = torch.tensor([[9.0, 9.0, 2.0, 2.0], [float('nan')] * 4, [0.0, 0.0, 30.0, 30.0], [0.0, 0.0, 30.0, 31.0]])
    voted, scores = box_voting(boxes, torch.tensor([0.9, 0.8, 0.0, 0.0]))
    assert scores.tolist() == pytest.approx([0.9, 0.8, 0.0])
    torch.testing.assert_close(voted[2], torch.tensor([0.0, 0.0, 30.0, 30.5]))  # without scores, the plain mean


def test_sizes() -> None:
    """Side + 1 against 30 and 100; both limits themselves are out."""
    sides = torch.tensor([[29.0, 5.0], [5.0, 29.5], [99.0, 300.0], [300.0, 98.5]])
    boxes = torch.cat([torch.full((4, 2), -7.0), sides - 7.0], 1)
    assert keeps_size(boxes, 'all').tolist() == [True] * 4
    assert keeps_size(boxes, 'large').tolist() == [False, True, True, True]
    assert keeps_size(boxes, 'small').tolist() == [True, True, False, True]
    for kind in ('all', 'large', 'small'):
        assert keeps_size(boxes[:0], kind).shape == (0,) and keeps_size(boxes, kind).dtype == torch.bool
    with pytest.raises(ValueError, match='unknown kind of size'):
        keeps_size(boxes, 'medium')


def test_boxes_that_lie_outside_and_boxes_in_others() -> None:
    """As several views gave them on a photograph of 1080 x 720 pixels: the first two from its quarter size alone."""
    boxes = torch.tensor(
        [[353.0, -350, 1350, 736], [-364, -370, 625, 714], [359, 181, 408, 248], [-2, 459, 4, 468], [5, 5, 5, 9]]
    )
    inside = [727 * 720 / (997 * 1086), 625 * 714 / (989 * 1084), 1, 4 / 6, 0]
    torch.testing.assert_close(part_inside(boxes, 720, 1080), torch.tensor(inside))
    nested = torch.tensor(
        [
            [974.0, 456, 994, 482],
            [18, 5, 62, 63],
            [379, 189, 404, 224],
            [359, 181, 408, 248],  # around the one before
            [24, 24, 39, 46],  # in the second
            [161, 377, 187, 415],
            [33, 80, 58, 115],
            [40, 66, 86, 128],  # 0.72 of the smaller are in both
            [966, 445, 1006, 498],  # around the first
        ]
    )
    assert not_nested(nested, 0.8).tolist() == [0, 1, 2, 5, 6, 7]
    assert not_nested(nested, 0.7).tolist() == [0, 1, 2, 5, 6]
    assert not_nested(nested, 1.0).tolist() == list(range(9)) and not_nested(nested[:0], 0.8).tolist() == []
