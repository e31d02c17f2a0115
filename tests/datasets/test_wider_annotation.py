"""Both annotation formats, and what is said about malformed files."""

import pytest

import mmdark.register  # noqa: F401
from mmdark.datasets.wider_annotation import parse_wider_annotation
from mmdark.errors import InputError

OFFICIAL = """0--Parade/a.jpg
2
10 20 30 40 0 0 0 0 0 0\x20
1 2 3 4 2 0 0 1 0 0\x20
0--Parade/none.jpg
0
0 0 0 0 0 0 0 0 0 0\x20
0--Parade/no row.jpg
0
0--Parade/b c.jpg
1
5.5 6 7 8
"""
ONE_LINE = 'W/images/a.jpg 2 10 20 30 40 1 1 2 3 4 1\nW/images/none.jpg 0\nW/images/b 2.jpg 1 5.5 6 7 8 1\n'


def test_official_format() -> None:
    images = parse_wider_annotation(OFFICIAL, 'gt.txt')
    names = [(image.name, image.line, len(image.faces)) for image in images]
    assert names == [
        ('0--Parade/a.jpg', 1, 2),
        ('0--Parade/none.jpg', 5, 0),
        ('0--Parade/no row.jpg', 8, 0),
        ('0--Parade/b c.jpg', 10, 1),
    ]
    assert images[0].faces[0] == (10, 20, 30, 40, 3, (0, 0, 0, 0, 0, 0))
    assert images[0].faces[1] == (1, 2, 3, 4, 4, (2, 0, 0, 1, 0, 0))
    assert images[3].faces[0] == (5.5, 6, 7, 8, 12, ())


def test_one_line_format() -> None:
    images = parse_wider_annotation(ONE_LINE, 'list.txt')
    assert [image.name for image in images] == ['W/images/a.jpg', 'W/images/none.jpg', 'W/images/b 2.jpg']
    assert [face[:4] for face in images[0].faces] == [(10, 20, 30, 40), (1, 2, 3, 4)]
    assert images[1].faces == []
    assert images[2].faces[0].line == 3


@pytest.mark.parametrize('ending', ['\n', '\r\n', '\n\n'])
def test_line_endings_and_blank_lines_do_not_matter(ending: str) -> None:
    images = parse_wider_annotation(OFFICIAL.replace('\n', ending), 'gt.txt')
    assert [len(image.faces) for image in images] == [2, 0, 0, 1]


@pytest.mark.parametrize(
    ('text', 'line', 'said'),
    [
        ('\n \n', None, 'is empty'),
        ('a.jpg\n', 1, 'number of faces of a.jpg should follow'),
        ('a.jpg\nb.jpg\n', 2, "should stand here, not 'b.jpg'"),
        ('a.jpg\n-1\n', 2, "should stand here, not '-1'"),
        ('a.jpg\n2\n1 2 3 4\n', 1, 'should have 2 faces; the file ends after 1'),
        (f'a.jpg\n{"9" * 5000}\n1 2 3 4\n', 2, 'number of faces of a.jpg should stand here'),
        (f'{"a" * 5000}.jpg\nmany\n', 2, "should stand here, not 'many'"),
        (f'a.jpg {"9" * 5000} 1 2 3 4 1\n', 1, 'expected "name n"'),
        (f'a.jpg\n1\n{"x " * 5000}\n', 3, 'should be numbers'),
        (f'a.jpg\n1\n1 2 3 4\n{"5 " * 5000}\n', 4, 'an image name should stand here'),
        ('a.jpg\n2\n1 2 3 4\nb.jpg\n1\n1 2 3 4\n', 4, 'a face row of a.jpg should be numbers'),
        ('a.jpg\n1\n1 2 3 4\n5 6 7 8\nb.jpg\n0\n', 4, 'an image name should stand here'),
        ('a.jpg\n1\n1 2 3\n', 3, 'at least x y w h'),
        ('a.jpg\n1\n1 2 three 4\n', 3, 'should be numbers'),
        ('a.jpg 1 1 2 3 4 1\nb.jpg 2 1 2 3 4 1\n', 2, 'expected "name n"'),
        ('a.jpg 1 1 2 x 4 1\n', 1, 'should be numbers'),
        ('a.jpg one 1 2 3 4 1\n', 1, 'expected "name n"'),
    ],
)
def test_malformed_files_are_named_with_their_line(text: str, line: int | None, said: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_wider_annotation(text, 'some/gt.txt')
    message = str(caught.value)
    assert said in message and '\n' not in message and len(message) <= 300
    assert message.startswith('some/gt.txt is empty' if line is None else f'some/gt.txt:{line}: ')
