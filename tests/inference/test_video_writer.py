"""Drawn videos: steady pictures of even size, the sound of the source, whole or not at all."""

from __future__ import annotations

import os
import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import av
import numpy as np
import pytest

from mmdark.errors import InputError
from mmdark.inference.video_writer import VideoWriter, has_sound, written_video

from .tiny_video import encode, shown, times_of, write_video


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
    return [round(float(image.mean()) / 20) for image in shown(path)]


def streams_of(path: Path) -> dict[str, tuple[str, float, str]]:
    """Kind of each stream → its codec, seconds and format of pixels or samples."""
    with av.open(str(path)) as file:
        return {
            one.type: (one.codec_context.name, float(one.duration * one.time_base), one.codec_context.format.name)
            for one in file.streams
        }


def test_pictures_are_shown_at_their_times(tmp_path: Path) -> None:
    """The ninth comes hours too late, by a fault of the source: a picture is shown for a minute at most."""
    tenths = [0, 1, 2, 5, 5.3, 6, 7, 1e5, 1e5 + 1]
    with written_video(tmp_path / 'a.mp4', 10) as writer:
        for number, tenth in enumerate(tenths):
            writer.add(grey(20 * (number + 1)), tenth / 10)
    assert levels(tmp_path / 'a.mp4') == list(range(1, 10))
    expected = [*(tenth / 10 for tenth in tenths[:7]), 60.7, 60.8]
    assert times_of(tmp_path / 'a.mp4') == pytest.approx(expected, abs=1e-4)
    assert streams_of(tmp_path / 'a.mp4')['video'][1] == pytest.approx(60.9, abs=1e-3)
    assert sorted(tmp_path.iterdir()) == [tmp_path / 'a.mp4']


def test_odd_sizes_are_made_even_and_a_change_of_size_is_fitted(tmp_path: Path) -> None:
    with written_video(tmp_path / 'a.mp4', 10) as writer:
        writer.add(grey(40, 63, 47), 0)
        writer.add(grey(80, 126, 94), 0.1)
    assert shown(tmp_path / 'a.mp4')[0].shape == (48, 64, 3)
    assert levels(tmp_path / 'a.mp4') == [2, 4]


def test_a_full_disk_is_named_and_leaves_what_was_there(tmp_path: Path) -> None:
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


def test_what_a_killed_one_left_is_cleared_and_an_error_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / '.a.mp4.1.part').write_bytes(b'half')
    (tmp_path / '.b.mp4.1.part').write_bytes(b'of another video')
    with pytest.raises(ZeroDivisionError), written_video(tmp_path / 'a.mp4', 10) as writer:
        writer.add(grey(40), 0)
        writer.add(grey(60), 1 / 0)
    assert [path.name for path in tmp_path.iterdir()] == ['.b.mp4.1.part']


def test_ctrl_c_comes_after_the_picture_and_after_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write, close = VideoWriter._write, VideoWriter.close

    def press(method: object, *args: object) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        method(*args)

    monkeypatch.setattr(VideoWriter, '_write', lambda self, packets: press(write, self, packets))
    monkeypatch.setattr(VideoWriter, 'close', lambda self: press(close, self))
    with pytest.raises(KeyboardInterrupt), written_video(tmp_path / 'a.mp4', 10) as writer:
        for number in range(2):
            with pytest.raises(KeyboardInterrupt):
                writer.add(grey(40 + 20 * number), number / 10)
    assert levels(tmp_path / 'a.mp4') == [2, 3]


@pytest.mark.parametrize(
    ('codec', 'suffix', 'expected'),
    [('aac', 'mp4', 'aac'), ('aac', 'ts', 'aac'), ('ac3', 'mkv', 'ac3'), ('pcm_s16le', 'avi', 'aac')],
)
def test_the_sound_goes_along_as_far_as_the_pictures(tmp_path: Path, codec: str, suffix: str, expected: str) -> None:
    loud = encode(tmp_path / f'loud: 1.{suffix}', codec='mpeg4', sound=codec, count=100)
    with written_video(tmp_path / 'a.mp4', 25, str(loud)) as writer:
        for number in range(50):
            writer.add(grey(100), number / 25)
    streams = streams_of(tmp_path / 'a.mp4')
    assert streams['video'] == ('h264', pytest.approx(2, abs=0.001), 'yuv420p')
    assert streams['audio'][:2] == (expected, pytest.approx(2, abs=0.05))
    assert levels(tmp_path / 'a.mp4') == [5] * 50
    with av.open(str(tmp_path / 'a.mp4')) as file:
        tone = np.concatenate([one.to_ndarray()[0] for one in file.decode(audio=0)])
        rate = file.streams.audio[0].rate
    assert np.abs(np.fft.rfft(tone[rate // 2 : rate])).argmax() * 2 == pytest.approx(440, abs=2)


def test_sound_begins_with_the_first_picture(tmp_path: Path) -> None:
    """Where pictures begin a second after the sound, the first second of the sound is left out."""
    loud = encode(tmp_path / 'loud.mkv', [1 + number / 25 for number in range(50)], sound='aac')
    with written_video(tmp_path / 'a.mp4', 25, str(loud)) as writer:
        for number in range(50):
            writer.add(grey(100), number / 25)
    with av.open(str(loud)) as source, av.open(str(tmp_path / 'a.mp4')) as file:
        packets = [bytes(packet) for packet in source.demux(audio=0) if packet.size and packet.pts >= 950]
        copied = [bytes(packet) for packet in file.demux(audio=0) if packet.size]
    assert len(copied) > 80 and copied == packets[: len(copied)]


def test_a_video_without_sound_has_none(tmp_path: Path) -> None:
    silent = write_video(tmp_path / 'silent.mp4')
    with written_video(tmp_path / 'a.mp4', 25, str(silent)) as writer:
        writer.add(grey(100), 0)
    assert set(streams_of(tmp_path / 'a.mp4')) == {'video'} and not has_sound(str(silent))
