"""The frames of videos as they are found: turned, cut off, damaged, unsteady, empty, or no videos at all."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from mmdark.errors import InputError
from mmdark.inference.video_frames import frames_of, is_video, open_video
from tests.tiny_wider import ROOT

from .tiny_video import SIZE, encode, frame, shown, turned, write_video


def damaged(path: Path) -> Path:
    """Forty bytes of the middle half of a file are others."""
    content, draws = bytearray(path.read_bytes()), np.random.default_rng(0)
    for place in draws.integers(len(content) // 4, len(content) * 3 // 4, 40):
        content[place] = draws.integers(256)
    path.write_bytes(content)
    return path


def test_every_frame_comes_with_its_number_and_time(tmp_path: Path) -> None:
    video = open_video(write_video(tmp_path / 'a.avi', 12, rate=10))
    assert (video.name, video.width, video.height, video.rate, video.count) == ('a.avi', *SIZE, 10, 12)
    frames = list(frames_of(video))
    assert [one.number for one in frames] == list(range(12))
    np.testing.assert_allclose([one.seconds for one in frames], np.arange(12) / 10, atol=1e-6)
    for one in frames:  # of motion JPEG every frame is itself
        assert np.abs(one.image.astype(float) - frame(one.number)).mean() < 12


@pytest.mark.parametrize(('first', 'every', 'end'), [(7, 1, None), (0, 3, None), (6, 3, 20), (0, 1, 1), (40, 1, None)])
def test_a_part_of_a_video_is_the_same_as_in_the_whole(tmp_path: Path, first: int, every: int, end: int | None) -> None:
    video = open_video(write_video(tmp_path / 'a.mp4', 30))
    whole = [one for one in frames_of(video) if one.number >= first and one.number % every == 0]
    whole = [one for one in whole if end is None or one.number < end]
    part = list(frames_of(video, first, every, end))
    assert [(one.number, one.seconds) for one in part] == [(one.number, one.seconds) for one in whole]
    assert all((one.image == other.image).all() for one, other in zip(part, whole, strict=True))


@pytest.mark.parametrize('suffix', ['mkv', 'mp4', 'ts'])
def test_a_damaged_video_gives_the_same_frames_each_time(tmp_path: Path, suffix: str) -> None:
    video = open_video(damaged(encode(tmp_path / f'a.{suffix}', count=90)))
    whole = [(one.seconds, int(one.image.sum())) for one in frames_of(video)]
    assert 60 < len(whole) <= 90  # damage in the middle does not end it
    for _ in range(3):
        assert [(one.seconds, int(one.image.sum())) for one in frames_of(video, first=30)] == whole[30:]


def test_a_turned_video_stands_upright(tmp_path: Path) -> None:
    plain = encode(tmp_path / 'a.mp4')
    video = open_video(turned(tmp_path / 'turned.mp4', plain))
    assert (video.width, video.height) == SIZE[::-1]
    clockwise = np.rot90(next(frames_of(open_video(plain))).image, -1)
    assert (next(frames_of(video)).image == clockwise).all()
    assert np.abs(shown(tmp_path / 'turned.mp4')[0].astype(float) - clockwise).mean() < 3  # so OpenCV turns it, too


@pytest.mark.parametrize('suffix', ['mp4', 'mkv'])
def test_unsteady_times_are_those_of_the_file(tmp_path: Path, suffix: str) -> None:
    times = [number / 25 for number in (*range(10), *range(12, 30, 3))]
    video = open_video(encode(tmp_path / f'a.{suffix}', times))
    np.testing.assert_allclose([one.seconds for one in frames_of(video)], times, atol=1e-3)


def test_a_stream_without_times_and_count_is_timed_by_its_rate(tmp_path: Path) -> None:
    video = open_video(encode(tmp_path / 'a.h264'))
    assert video.count is None
    np.testing.assert_allclose([one.seconds for one in frames_of(video)], np.arange(30) / video.rate, atol=1e-6)


def test_frames_are_those_that_opencv_decodes(tmp_path: Path) -> None:
    path = encode(tmp_path / 'a.mp4')
    for one, other in zip(frames_of(open_video(path)), shown(path), strict=True):
        assert np.abs(one.image.astype(int) - other).mean() < 3


def test_a_video_whose_end_is_missing_gives_what_there_is(tmp_path: Path) -> None:
    path = write_video(tmp_path / 'a.avi', 30)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert 10 < len(list(frames_of(open_video(path)))) < 20


@pytest.mark.parametrize(
    ('name', 'content', 'message'),
    [
        ('none.mp4', None, r'none\.mp4 does not exist'),
        ('empty.mp4', b'', r'empty\.mp4 cannot be read as a video'),
        ('text.mp4', b'words ' * 99, r'text\.mp4 cannot be read as a video'),
        ('folder.mp4', Path(), 'is a folder'),
        ('photo.jpg', b'', 'is an image'),
        ('list.mp4', b'#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1:9/a.ts\n', r'list\.mp4 cannot be read as a video'),
    ],
)
def test_what_is_no_video_is_named(tmp_path: Path, name: str, content: bytes | Path | None, message: str) -> None:
    path = tmp_path / name
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        path.mkdir()
    with pytest.raises(InputError, match=message) as caught:
        open_video(str(path))
    assert '\n' not in str(caught.value)


def test_a_name_that_is_not_utf_8_can_be_read(tmp_path: Path) -> None:
    path = write_video(tmp_path / 'a.avi', 3).rename(tmp_path / os.fsdecode(b'caf\xe9.avi'))
    assert len(list(frames_of(open_video(path)))) == 3


def test_a_frame_that_would_fill_the_memory_is_refused(tmp_path: Path) -> None:
    image = b'\x2c' + struct.pack('<4H', 0, 0, 8, 8) + b'\0\x02\x02\x4c\x01\0'
    head = b'GIF89a' + struct.pack('<2H', 65535, 65535) + b'\x80\0\0' + b'\0\0\0\xff\xff\xff'
    (tmp_path / 'a.gif').write_bytes(head + image + image + b'\x3b')
    with pytest.raises(InputError, match=r'a\.gif'):
        open_video(tmp_path / 'a.gif')


def test_without_pyav_one_line_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, 'av', None)
    with pytest.raises(InputError, match=r"pip install 'mmdark\[video\]'"):
        open_video(write_video(tmp_path / 'a.avi', 3))


def test_a_video_without_frames_is_named(tmp_path: Path) -> None:
    writer = cv2.VideoWriter(str(tmp_path / 'a.avi'), cv2.VideoWriter.fourcc(*'MJPG'), 25, SIZE)
    writer.release()
    with pytest.raises(InputError, match=r'a\.avi (gives no frame|cannot be read)'):
        open_video(tmp_path / 'a.avi')


def test_nothing_is_printed_beside_the_line(tmp_path: Path) -> None:
    broken = damaged(encode(tmp_path / 'a.mkv', count=90))
    broken.with_name('text.mp4').write_text('words')
    program = f"""
from mmdark.errors import InputError
from mmdark.inference.video_frames import frames_of, open_video
print('imported')  # where the onedl family prints
print(len(list(frames_of(open_video({str(broken)!r})))))
for source in ({str(broken.with_name('text.mp4'))!r}, 97):
    try:
        open_video(source)
    except InputError as error:
        print(error)
"""
    done = subprocess.run([sys.executable, '-c', program], cwd=ROOT, capture_output=True, text=True, check=True)
    said = done.stdout.split('imported\n')[1]
    assert len(said.splitlines()) == 3 and done.stderr == ''


def test_a_camera_that_is_not_there_and_an_address_are_named() -> None:
    with pytest.raises(InputError, match='webcam 97 cannot be opened'):
        open_video(97)
    with pytest.raises(InputError, match='does not download'):
        open_video('rtsp://camera/1')


def test_videos_are_known_by_their_names() -> None:
    assert is_video('A.MOV') and not is_video('a.jpg') and not is_video('mp4')


@pytest.mark.parametrize(('options', 'times'), [({}, [0, 0.1, 0.2]), (dict(duration=[300, 50, 80]), [0, 0.3, 0.35])])
def test_a_gif_gives_all_its_pictures(tmp_path: Path, options: dict, times: list[float]) -> None:
    """Also one that states no times: browsers show each picture for a tenth of a second."""
    pictures = [np.full((96, 128, 3), (40 * number, 90, 200), np.uint8) for number in range(3)]
    first, *others = map(Image.fromarray, pictures)
    first.save(tmp_path / 'a.gif', save_all=True, append_images=others, **options)
    video = open_video(tmp_path / 'a.gif')
    frames = list(frames_of(video))
    assert video.count == 3 and [one.seconds for one in frames] == pytest.approx(times)
    for one, picture in zip(frames, pictures, strict=True):
        assert np.abs(one.image.astype(int) - picture[..., ::-1]).max() <= 8


def test_a_pipe_is_no_video(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / 'a.mp4')
    with pytest.raises(InputError, match=r'a\.mp4 is a pipe, not a file'):
        open_video(tmp_path / 'a.mp4')
