"""The frames of videos as they are found: turned, cut off, damaged, unsteady, empty, or no videos at all."""

from __future__ import annotations

import os
import shutil
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

from .tiny_video import SIZE, ffmpeg, frame, write_video

needs_ffmpeg = pytest.mark.skipif(not shutil.which('ffmpeg'), reason='ffmpeg is not installed')


def encode(path: Path, *options: str, count: int = 30) -> Path:
    """The tiny video by ffmpeg, with a key frame every ten frames."""
    source = write_video(path.parent / 'source' / 'frames.avi', count)
    ffmpeg('-i', source, '-c:v', 'libx264', '-g', '10', '-pix_fmt', 'yuv420p', *options, path)
    return path


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


@needs_ffmpeg
@pytest.mark.parametrize('suffix', ['mkv', 'mp4', 'ts'])
def test_a_damaged_video_gives_the_same_frames_each_time(tmp_path: Path, suffix: str) -> None:
    video = open_video(damaged(encode(tmp_path / f'a.{suffix}', count=90)))
    whole = [(one.seconds, int(one.image.sum())) for one in frames_of(video)]
    assert 60 < len(whole) <= 90  # damage in the middle does not end it
    for _ in range(3):
        assert [(one.seconds, int(one.image.sum())) for one in frames_of(video, first=30)] == whole[30:]


@needs_ffmpeg
def test_a_turned_video_stands_upright(tmp_path: Path) -> None:
    plain = encode(tmp_path / 'a.mp4')
    ffmpeg('-i', plain, '-c', 'copy', '-metadata:s:v', 'rotate=90', turned := tmp_path / 'turned.mp4')
    video = open_video(turned)
    if (video.width, video.height) == SIZE:
        pytest.skip('this ffmpeg has no rotate tag to write')
    assert (video.width, video.height) == SIZE[::-1]
    image, upright = (next(frames_of(open_video(path))).image for path in (plain, turned))
    assert upright.shape[:2] == SIZE
    turns = [np.abs(np.rot90(image, turn).astype(float) - upright).mean() for turn in (1, 3)]
    assert min(turns) < 1 < max(turns)


@needs_ffmpeg
def test_unsteady_times_are_those_of_the_file(tmp_path: Path) -> None:
    kept = [*range(10), *range(12, 30, 3)]
    select = "select='lt(n,10)+not(mod(n,3))*gte(n,12)'"
    video = open_video(encode(tmp_path / 'a.mp4', '-vf', select, '-vsync', 'vfr'))
    np.testing.assert_allclose([one.seconds for one in frames_of(video)], np.array(kept) / 25, atol=1e-3)


@needs_ffmpeg
def test_a_stream_without_times_and_count_is_timed_by_its_rate(tmp_path: Path) -> None:
    video = open_video(encode(tmp_path / 'a.h264'))
    assert video.count is None
    np.testing.assert_allclose([one.seconds for one in frames_of(video)], np.arange(30) / video.rate, atol=1e-6)


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
        (os.fsdecode(b'caf\xe9.avi'), b'', 'is not UTF-8'),
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


def test_a_video_without_frames_is_named(tmp_path: Path) -> None:
    writer = cv2.VideoWriter(str(tmp_path / 'a.avi'), cv2.VideoWriter.fourcc(*'MJPG'), 25, SIZE)
    writer.release()
    with pytest.raises(InputError, match=r'a\.avi (gives no frame|cannot be read)'):
        open_video(tmp_path / 'a.avi')


@needs_ffmpeg
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
    """Also one that states no times, of which OpenCV's FFmpeg gives the first picture alone."""
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
