"""No two photographs share a name, and a name follows from the folder that was given."""

from __future__ import annotations

import os
import sys
from pathlib import Path, PurePath

import pytest

from mmdark.inference import image_sources
from mmdark.inference.output_names import free_name, output_names

PHOTOS = ('a/1.jpg', 'a/deep/1.jpg', 'b/1.jpg', 'b/1.png', 'b/1.JPG', 'b/1.jpg.png')


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in PHOTOS:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ('inputs', 'expected'),
    [
        (['a'], {'1', 'deep/1'}),
        (['a/'], {'1', 'deep/1'}),
        (['a/deep'], {'1'}),
        (['a/1.jpg'], {'1'}),
        (['a/1.jpg', 'b/1.jpg'], {'a/1', 'b/1'}),
        (['a', 'b/1.png'], {'a/1', 'a/deep/1', 'b/1'}),
        (['*/1.jpg'], {'a/1', 'b/1'}),
        (['**/*.jpg'], {'a/1', 'a/deep/1', 'b/1', 'b/1.JPG'}),
        (['b'], {'1', '1.JPG', '1.jpg', '1.png', '1.jpg_2', '1.jpg.png'}),
    ],
    ids=lambda value: str(sorted(value)),  # the order of a set differs between processes
)
def test_names(photos: Path, inputs: list[str], expected: set[str]) -> None:
    sources = [source.name for source in image_sources(inputs)]
    names = list(output_names(sources, inputs))
    assert len({name.casefold() for name in names}) == len(names) == len(sources)
    assert set(names) <= expected


def test_long_names_leave_room_and_stay_apart() -> None:
    sources = [f'a/{"n" * 247}{end}.jpg' for end in 'xy'] + [f'a/{"夜" * 80}{end}.jpg' for end in 'xy']
    names = list(output_names(sources, ['a']))
    assert len(set(names)) == 4 and max(len(os.fsencode(name)) for name in names) < 210


def test_absolute_and_relative_inputs_give_the_same(photos: Path) -> None:
    relative = list(output_names([source.name for source in image_sources(['a', 'b'])], ['a', 'b']))
    inputs = [str(photos / 'a'), str(photos / 'b')]
    assert list(output_names([source.name for source in image_sources(inputs)], inputs)) == relative


def test_a_name_costs_the_same_however_many_there_are() -> None:
    """Counted in lines of Python, in place of time."""
    lines = 0

    def count(frame: object, event: str, argument: object) -> object:
        nonlocal lines
        lines += event == 'line'
        return count

    taken = {f'a/{number}' for number in range(5000)} | {'a/new'}
    before = sys.gettrace()
    sys.settrace(count)
    try:
        name = free_name(PurePath('a/new.jpg'), taken)
    finally:
        sys.settrace(before)
    assert name == 'a/new.jpg' and lines < 2000
