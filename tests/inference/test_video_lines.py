"""The lines of the frames: continued where they end, refused where they are of something else."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from mmdark.errors import InputError
from mmdark.inference import FaceResult
from mmdark.inference.json_lines import read_lines
from mmdark.inference.video_lines import FrameLines

from .test_video_writer import room_for

HEADER = dict(source='a.mp4', weights='square.pth 1234', pred_score_thr=0.3, every=1)


def result(number: int) -> FaceResult:
    boxes = np.array([[number, 1, number + 10.123456, 20]], np.float32)
    return FaceResult(boxes, np.array([1 / 3], np.float32), 64, 48, f'a.mp4#{number}')


def write(path: Path, numbers: range, every: int = 1, batch_size: int = 1, header: dict = HEADER) -> FrameLines:
    with FrameLines(path, header, every, batch_size) as lines:
        for number in numbers:
            lines.add(number, number / 25, result(number))
    return lines


def test_each_frame_is_a_line_below_the_header(tmp_path: Path) -> None:
    write(path := tmp_path / 'new' / 'a.jsonl', range(3))
    header, *frames = [json.loads(line) for line in path.read_text().splitlines()]
    assert header == HEADER
    assert frames[2] == dict(frame=2, seconds=0.08, faces=[dict(bbox=[2.0, 1.0, 12.12, 20.0], score=0.333333)])
    assert list(read_lines(path)) == frames


@pytest.mark.parametrize('cut', [0, 1, 30, 97, 150])
def test_wherever_it_is_cut_it_is_continued_to_the_same_bytes(tmp_path: Path, cut: int) -> None:
    write(whole := tmp_path / 'whole.jsonl', range(4))
    content = whole.read_bytes()
    for end in {cut, len(content) - cut}:
        (part := tmp_path / 'part.jsonl').write_bytes(content[:end])
        with FrameLines(part, HEADER) as lines:
            first = lines.first
        assert first == max(content[:end].count(b'\n') - 1, 0)
        write(part, range(first, 4))
        assert part.read_bytes() == content


def test_of_a_batch_all_or_nothing_is_kept(tmp_path: Path) -> None:
    write(path := tmp_path / 'a.jsonl', range(0, 21, 3), every=3)
    with FrameLines(path, HEADER, every=3, batch_size=4) as lines:
        assert lines.first == 12
    assert [line['frame'] for line in read_lines(path)] == [0, 3, 6, 9]


def test_another_header_is_refused_with_what_differs(tmp_path: Path) -> None:
    write(path := tmp_path / 'a.jsonl', range(3))
    before = path.read_bytes()
    other = HEADER | dict(weights='other.pth 5678')
    with pytest.raises(InputError, match=r'begun with weights square\.pth 1234 and not other\.pth 5678: ') as caught:
        FrameLines(path, other)
    assert 'pred_score_thr' not in str(caught.value) and path.read_bytes() == before
    with FrameLines(path, other, overwrite=True) as lines:
        assert lines.first == 0
    assert path.read_text() == json.dumps(other) + '\n'


@pytest.mark.parametrize('content', ['a stranger\n', '[1]\n', 'x', '5\n'])
def test_a_file_of_something_else_is_left_alone(tmp_path: Path, content: str) -> None:
    (path := tmp_path / 'a.jsonl').write_text(content)
    with pytest.raises(InputError, match=r'a\.jsonl was not written by mmdark detect'):
        FrameLines(path, HEADER)
    assert path.read_text() == content


@pytest.mark.parametrize('damage', ['\0\0\0\n', '{"frame": 7, "seconds": 0, "faces": []}\n', '\n'])
def test_damage_before_the_last_line_is_named_and_kept(tmp_path: Path, damage: str) -> None:
    write(path := tmp_path / 'a.jsonl', range(4))
    lines = path.read_text().splitlines(keepends=True)
    path.write_text(''.join([*lines[:2], damage, *lines[3:]]))
    before = path.read_bytes()
    with pytest.raises(InputError, match=r'line 3 of .*a\.jsonl is damaged'):
        FrameLines(path, HEADER)
    assert path.read_bytes() == before


def test_what_cannot_be_opened_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r'could not be written \(Is a directory\)'):
        FrameLines(tmp_path, HEADER)


def test_a_full_disk_keeps_the_lines_before(tmp_path: Path) -> None:
    write(whole := tmp_path / 'whole.jsonl', range(9))
    path = tmp_path / 'a.jsonl'
    room = len(whole.read_bytes()) // 2
    with (
        pytest.raises(InputError, match=r'a\.jsonl could not be written .* same command again') as caught,
        room_for(room),
    ):
        write(path, range(9))
    assert '\n' not in str(caught.value)
    assert path.read_bytes() == whole.read_bytes()[:room]  # torn
    with FrameLines(path, HEADER) as lines:
        first = lines.first
    assert 0 < first < 9
    write(path, range(first, 9))
    assert path.read_bytes() == whole.read_bytes()


def test_a_write_that_takes_only_a_part_is_gone_on_with(tmp_path: Path) -> None:
    write(whole := tmp_path / 'whole.jsonl', range(3))
    with FrameLines(path := tmp_path / 'a.jsonl', HEADER) as lines:
        file = lines._file
        lines._file = SimpleNamespace(write=lambda text: file.write(text[:7]), close=file.close)
        for number in range(3):
            lines.add(number, number / 25, result(number))
    assert path.read_bytes() == whole.read_bytes()
