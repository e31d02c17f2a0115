"""DARK FACE's labels, lists and our split, against the rule said in words and the official tool's sample labels."""

import hashlib
from pathlib import Path

import pytest

from mmdark.datasets.dark_face_annotation import parse_image_list, parse_label, split_numbers
from mmdark.errors import InputError

ROOT = Path(__file__).resolve().parents[2]
LIST = ROOT / 'configs' / 'dark_face' / 'dark_face_val.txt'
GOLDEN = ROOT.parent / 'shared' / 'golden' / 'darkface_eval'
needs_golden = pytest.mark.skipif(not GOLDEN.is_dir(), reason=f'no labels of the official tool at {GOLDEN}')


def digest(number: int) -> int:
    return int(hashlib.sha256(b'darkface:' + str(number).encode()).hexdigest(), 16)


def test_the_list_holds_what_the_rule_chooses() -> None:
    listed = LIST.read_text(encoding='ascii').splitlines()
    assert listed == [f'{number}.png' for number in split_numbers('val')]
    assert parse_image_list(LIST.read_text(), str(LIST)) == listed


def test_the_split_is_the_rule_said_in_words() -> None:
    """500 images; none of the others has a smaller digest; together they are all 6,000, in order."""
    val, train = split_numbers('val'), split_numbers('train')
    assert (len(val), len(train)) == (500, 5500)
    assert max(map(digest, val)) < min(map(digest, train))
    assert sorted(val + train) == split_numbers('all') == list(range(1, 6001))
    assert val == sorted(val) and train == sorted(train)


def test_the_split_never_changes() -> None:
    """Printed once by sha256sum: whoever changes the split makes results that nobody can compare."""
    assert split_numbers('val')[:5] == [18, 27, 52, 67, 78]
    assert hashlib.sha256(LIST.read_bytes()).hexdigest() == (
        'be6248cd843172103414b9189e74ab079f7bdd45cd34ae70ccb9749c2728fbc9'
    )


def test_the_split_is_spread_evenly() -> None:
    """Each thousand gives 500 / 6 images but for chance: five standard deviations of a hypergeometric draw."""
    counts = [sum(low < number <= low + 1000 for number in split_numbers('val')) for low in range(0, 6000, 1000)]
    deviation = (500 * (1 / 6) * (5 / 6) * (5500 / 5999)) ** 0.5
    assert all(abs(count - 500 / 6) < 5 * deviation for count in counts), counts


@pytest.mark.parametrize('split', ['test', 'Val', '', None])
def test_an_unknown_split_names_the_known(split: str | None) -> None:
    with pytest.raises(InputError, match='choose one of train, val, all, or folder'):
        split_numbers(split)


@needs_golden
def test_the_official_tools_labels() -> None:
    """Read in another way: all numbers of the file in one row, the first of them the count."""
    faces = 0
    for path in (GOLDEN / 'gt').glob('*.txt'):
        count, *values = map(float, path.read_text().split())
        boxes = parse_label(path.read_text(), str(path))
        assert len(boxes) == count
        assert [value for box in boxes for value in box[:4]] == values
        faces += len(boxes)
    assert faces > 100


@needs_golden
def test_the_official_list() -> None:
    names = parse_image_list((GOLDEN / 'file_list.txt').read_text(), 'file_list.txt')
    assert {Path(name).stem for name in names} == {path.stem for path in (GOLDEN / 'gt').glob('*.txt')}


@pytest.mark.parametrize(
    'text',
    [
        '2\n1 2 3 4\n5 6 7 8\n',
        '2\r\n1 2 3 4\r\n5 6 7 8\r\n',
        '\n2 \n\n1\t2\t3\t4\n  5  6 7 8',
        '2\n1.0 2 3 4e0\n5 6 7 8',
    ],
)
def test_line_ends_and_blanks_do_not_matter(text: str) -> None:
    assert [box[:4] for box in parse_label(text, 'label/1.txt')] == [(1, 2, 3, 4), (5, 6, 7, 8)]


def test_boxes_are_given_as_written() -> None:
    boxes = parse_label('4\n5 5 1 1\nnan 1 2 3\n-4 2 2000 9.5\n1 1 1 1\n', 'label/1.txt')
    assert [box.line for box in boxes] == [2, 3, 4, 5]
    assert boxes[0][:4] == (5, 5, 1, 1) and boxes[1].left != boxes[1].left and boxes[2][:4] == (-4, 2, 2000, 9.5)
    assert parse_label('0\n', 'label/1.txt') == []


@pytest.mark.parametrize(
    ('text', 'said'),
    [
        ('', r'^a/1\.txt is empty: its first line should be the number of faces'),
        (' \n\r\n', r'^a/1\.txt is empty'),
        ('1 2 3 4\n', r"^a/1\.txt:1: the number of faces should stand here alone, not '1 2 3 4'"),
        ('\nmany\n1 2 3 4\n', r"^a/1\.txt:2: the number of faces should stand here alone, not 'many'"),
        ('-1\n', r"^a/1\.txt:1: .* not '-1'"),
        ('1.0\n1 2 3 4\n', r"^a/1\.txt:1: .* not '1\.0'"),
        (f'{"9" * 5000}\n', r'^a/1\.txt:1: the number of faces'),
        ('{"faces": []}', r'^a/1\.txt:1: the number of faces'),
        ('2\n1 2 3 4\n', r'^a/1\.txt:1: the number of faces is 2, but 1 rows follow'),
        ('1\n1 2 3 4\n5 6 7 8\n', r'^a/1\.txt:1: the number of faces is 1, but 2 rows follow'),
        ('0\n0 0 0 0\n', r'^a/1\.txt:1: the number of faces is 0, but 1 rows follow'),
        ('1\n1 2 3\n', r"^a/1\.txt:2: a face should be four numbers, x1 y1 x2 y2, not '1 2 3'"),
        ('1\n1 2 3 4 0.9\n', r"^a/1\.txt:2: a face should be four numbers, x1 y1 x2 y2, not '1 2 3 4 0\.9'"),
        ('1\n1,2,3,4\n', r"^a/1\.txt:2: a face should be four numbers, x1 y1 x2 y2, not '1,2,3,4'"),
        ('2\n1 2 3 4\n\n1 2 3 face\n', r'^a/1\.txt:4: a face should be four numbers'),
    ],
)
def test_malformed_labels_are_explained_in_one_line(text: str, said: str) -> None:
    with pytest.raises(InputError, match=said) as caught:
        parse_label(text, 'a/1.txt')
    assert '\n' not in str(caught.value)


@pytest.mark.parametrize('line', ['17', '17.png', 'image/17.png', './data/gt/17.txt', 'label\\17.txt', '  17.png\r'])
def test_an_image_may_be_listed_in_many_ways(line: str) -> None:
    assert parse_image_list(f'{line}\n', 'list.txt') == ['17.png']


def test_a_list_keeps_its_order_and_other_endings() -> None:
    assert parse_image_list('10\n\n2.JPG\nv1.5\n', 'list.txt') == ['10.png', '2.JPG', 'v1.5.png']


@pytest.mark.parametrize(
    ('text', 'said'),
    [
        ('\n', r'^list\.txt is empty: it should name one image per line'),
        ('1.png\n2.png\nimage/1.png\n', r'^list\.txt:3: 1\.png is listed already in line 1; remove one'),
    ],
)
def test_malformed_lists_are_explained_in_one_line(text: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        parse_image_list(text, 'list.txt')
