"""ExDark's labels and list: read as written, what is wrong in one line, and every class has its own of COCO."""

import pytest
from mmdet.datasets import CocoDataset

from mmdark.datasets.exdark_annotation import CLASSES, COCO_NAMES, parse_exdark_label, parse_exdark_list
from mmdark.errors import InputError
from tests.tiny_exdark import ROWS, list_text


def test_classes_have_the_official_numbers_and_a_class_of_coco() -> None:
    """The order is that of the README beside the official list: Bicycle(1), Boat(2) ... Table(12)."""
    assert ' '.join(CLASSES) == 'Bicycle Boat Bottle Bus Car Cat Chair Cup Dog Motorbike People Table'
    assert len(set(COCO_NAMES.values())) == 12 and set(COCO_NAMES.values()) <= set(CocoDataset.METAINFO['classes'])
    other = {name: coco for name, coco in COCO_NAMES.items() if name.lower() != coco}
    assert other == {'Motorbike': 'motorcycle', 'People': 'person', 'Table': 'dining table'}


def test_rows_of_the_official_list() -> None:
    """As they stand there, with its line ends; the numbers by the README: light 8 Window, 1 Indoor, set 3 Testing."""
    text = 'Name | Class | Light | In/Out | Train/Val/Test\r\n2015_00001.png 1 2 1 1\r\n2015_07354.jpg 12 8 1 3\r\n'
    first, last = parse_exdark_list(text, 'list.txt')
    assert first == ('2015_00001.png', 'Bicycle', 'Ambient', 'Indoor', 'train', 2)
    assert last == ('2015_07354.jpg', 'Table', 'Window', 'Indoor', 'test', 3)
    assert [image[:5] for image in parse_exdark_list(list_text(), 'list.txt')] == ROWS


@pytest.mark.parametrize('ends', ['\n', '\r\n', '\n\n'])
def test_a_label_of_the_official_set(ends: str) -> None:
    rows = ('% bbGt version=3', 'Bicycle 67 231 265 159 0 0 0 0 0 0 0', 'people 127 128 135.5 252 0 0 0 0 0 0 0', '')
    first, second = parse_exdark_label(ends.join(rows), 'a.txt')
    assert first[:5] == ('Bicycle', 67, 231, 265, 159) and second[:5] == ('People', 127, 128, 135.5, 252)


@pytest.mark.parametrize('text', ['% bbGt version=3\n', '%  bbGt   version=3', '', ' \r\n'])
def test_a_label_may_be_without_objects(text: str) -> None:
    assert parse_exdark_label(text, 'a.txt') == []


@pytest.mark.parametrize(
    ('text', 'said'),
    [
        ('Cup 1 2 3 4 0 0 0 0 0 0 0\n', r"^a\.txt:1: '% bbGt version=3' should stand here, not 'Cup 1 2"),
        ('% bbGt version=2\n', r"^a\.txt:1: .* not '% bbGt version=2'"),
        ('% bbGt version=3\n\nCup 1 2 3 4\n', r'^a\.txt:3: an object should have 12 columns, not 5$'),
        ('% bbGt version=3\nCup 1 2 3\n', r"^a\.txt:2: an object should be .class left top width height., not '1 2 3"),
        ('% bbGt version=3\nCup 1 2 3 four 0 0 0 0 0 0 0\n', r'^a\.txt:2: an object should be'),
        ('% bbGt version=3\nCup 1 2 3 4 0 0 0 0 0 0 0 0\n', r'^a\.txt:2: .* 12 columns, not 13$'),
        ('% bbGt version=3\nface 1 2 3 4 0 0 0 0 0 0 0\n', r"^a\.txt:2: class 'face' is none of the 12 .* Table\)$"),
    ],
)
def test_malformed_labels_are_explained_in_one_line(text: str, said: str) -> None:
    with pytest.raises(InputError, match=said) as caught:
        parse_exdark_label(text, 'a.txt')
    assert '\n' not in str(caught.value)


@pytest.mark.parametrize(
    ('text', 'said'),
    [
        ('', r'^list\.txt lists no image: take the official imageclasslist\.txt'),
        ('Name | Class\n', r'^list\.txt lists no image'),
        ('a.jpg 1 1 1\n', r"^list\.txt:1: expected .name class light place split.*not 'a\.jpg 1 1 1'"),
        ('a.jpg 1 1 1 1 1\n', r'^list\.txt:1: expected'),
        ('a.jpg 0 1 1 1\n', r'^list\.txt:1: expected'),
        ('a.jpg 13 1 1 1\n', r'^list\.txt:1: expected'),
        ('a.jpg 1 11 1 1\n', r'^list\.txt:1: expected'),
        ('a.jpg 1 1 3 1\n', r'^list\.txt:1: expected'),
        ('a.jpg 1 1 1 4\n', r'^list\.txt:1: expected'),
        ('a.jpg 1 1 1 train\n', r'^list\.txt:1: expected'),
        ('a.jpg 1 1 1 1\nb.jpg 1 1 1 1\na.jpg 1 1 1 2\n', r'^list\.txt:3: a\.jpg is listed already in line 1'),
    ],
)
def test_malformed_lists_are_explained_in_one_line(text: str, said: str) -> None:
    with pytest.raises(InputError, match=said) as caught:
        parse_exdark_list(text, 'list.txt')
    assert '\n' not in str(caught.value)
