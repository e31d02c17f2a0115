"""Drawn videos: steady pictures of even size, the sound of the source, whole or not at all."""

from __future__ import annotations

import os
import resource
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
import pytest

from mmdark.errors import InputError
from mmdark.inference import video_encoders
from mmdark.inference.video_encoders import how_written, sound_of
from mmdark.inference.video_writer import written_video

from .tiny_video import ffmpeg, probe, write_video

needs_ffmpeg = pytest.mark.skipif(not shutil.which('ffmpeg'), reason='ffmpeg is not installed')


@pytest.fixture(params=['ffmpeg', 'OpenCV'])
def encoder(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == 'OpenCV':
        monkeypatch.setattr(video_encoders, '_ffmpeg', lambda: None)
    elif not shutil.which('ffmpeg'):
        pytest.skip('ffmpeg is not installed')
    return request.param


@contextmanager
def room_for(count: int) -> Iterator[None]:
    """No file may grow beyond so many bytes, in processes that are started either."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (count, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def grey(level: int, width: int = 64, height: int = 48) -> np.ndarray:
    return np.full((height, width, 3), level, np.uint8)


def levels(path: Path) -> list[int]:
    """The brightness of each frame, in steps of 20."""
    capture = cv2.VideoCapture(str(path))
    found = []
    while (read := capture.read())[0]:
        found.append(round(float(read[1].mean()) / 20))
    return found


def test_pictures_are_shown_at_their_times(tmp_path: Path, encoder: str) -> None:
    times = [0, 1, 2, 5, 5.3, 6, 7, 1e5, 1e5 + 1]  # tenths of a second; a gap, a rush, and a fault of hours
    with written_video(tmp_path / 'a.mp4', 10) as writer:
        for number, tenth in enumerate(times):
            writer.add(grey(20 * (number + 1)), tenth / 10)
    shown = levels(tmp_path / 'a.mp4')
    assert shown[:8] == [1, 2, 3, 3, 3, 5, 6, 7]  # of two that fall on one frame the later one
    assert shown[8:-2] == [7] * 599 and shown[-2:] == [8, 9]
    assert sorted(tmp_path.iterdir()) == [tmp_path / 'a.mp4']


def test_odd_sizes_are_made_even_and_a_change_of_size_is_fitted(tmp_path: Path, encoder: str) -> None:
    with written_video(tmp_path / 'a.mp4', 10) as writer:
        writer.add(grey(40, 63, 47), 0)
        writer.add(grey(80, 126, 94), 0.1)
    capture = cv2.VideoCapture(str(tmp_path / 'a.mp4'))
    assert capture.read()[1].shape == (48, 64, 3)
    assert levels(tmp_path / 'a.mp4') == [2, 4]


def test_a_full_disk_is_named_and_leaves_what_was_there(tmp_path: Path, encoder: str) -> None:
    path, noise = tmp_path / 'a.mp4', np.random.default_rng(0)
    path.write_bytes(b'of an earlier run')
    with (
        pytest.raises(InputError, match='cannot be written') as caught,
        room_for(20_000),
        written_video(path, 10) as writer,
    ):
        for number in range(60):
            writer.add(noise.integers(0, 255, (240, 320, 3), dtype=np.uint8), number / 10)
    assert '\n' not in str(caught.value)
    assert path.read_bytes() == b'of an earlier run' and list(tmp_path.iterdir()) == [path]


def test_what_a_killed_one_left_is_cleared_and_an_error_leaves_nothing(tmp_path: Path, encoder: str) -> None:
    (tmp_path / '.a.mp4.1.part.mp4').write_bytes(b'half')
    (tmp_path / '.b.mp4.1.part.mp4').write_bytes(b'of another video')
    with pytest.raises(ZeroDivisionError), written_video(tmp_path / 'a.mp4', 10) as writer:
        writer.add(grey(40), 0)
        writer.add(grey(60), 1 / 0)
    assert [path.name for path in tmp_path.iterdir()] == ['.b.mp4.1.part.mp4']


def test_ctrl_c_comes_after_the_picture_and_after_the_end(
    tmp_path: Path, encoder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind = video_encoders.FfmpegEncoder if encoder == 'ffmpeg' else video_encoders.OpenCVEncoder
    write, close = kind.write, kind.close

    def press(method: object, *args: object) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        method(*args)

    monkeypatch.setattr(kind, 'write', lambda self, picture: press(write, self, picture))
    monkeypatch.setattr(kind, 'close', lambda self, written: press(close, self, written))
    with pytest.raises(KeyboardInterrupt), written_video(tmp_path / 'a.mp4', 10) as writer:
        writer.add(grey(40), 0)
        with pytest.raises(KeyboardInterrupt):
            writer.add(grey(60), 0.1)
    assert levels(tmp_path / 'a.mp4') == [2, 3]


@needs_ffmpeg
@pytest.mark.parametrize(('codec', 'suffix', 'expected'), [('aac', 'mp4', 'aac'), ('pcm_s16le', 'avi', 'aac')])
def test_the_sound_goes_along_for_as_long_as_wanted(tmp_path: Path, codec: str, suffix: str, expected: str) -> None:
    silent, loud = write_video(tmp_path / 'silent.mp4', 100), tmp_path / f'loud: 1.{suffix}'
    ffmpeg('-i', silent, '-f', 'lavfi', '-i', 'sine=d=4', '-c:v', 'copy', '-c:a', codec, f'file:{loud}')
    sound = sound_of(str(loud), 1.5)
    assert sound is not None and sound.codec == codec
    with written_video(tmp_path / 'a.mp4', 25, sound) as writer:
        for number in range(50):
            writer.add(grey(100), number / 25)
    streams = probe(tmp_path / 'a.mp4')
    assert streams['audio']['codec_name'] == expected
    assert float(streams['audio']['duration']) == pytest.approx(1.5, abs=0.1)
    assert float(streams['video']['duration']) == pytest.approx(2, abs=0.05)
    assert streams['video']['pix_fmt'] == 'yuv420p'
    assert 'with the sound of b' in how_written(sound, 'b') and ('H.264' in how_written(sound, 'b')) == (
        streams['video']['codec_name'] == 'h264'
    )


def test_no_sound_is_said_in_a_line(tmp_path: Path, encoder: str) -> None:
    sound = sound_of(str(write_video(tmp_path / 'a.mp4')), 1.0)
    assert sound is None
    expected = 'without sound: a.mp4 has none' if encoder == 'ffmpeg' else 'ffmpeg is not installed'
    assert expected in how_written(sound, 'a.mp4')
