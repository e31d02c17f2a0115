"""Write timed pictures, and optionally the sound of another video, atomically to an MP4 file."""

from __future__ import annotations

import glob
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from mmdark.whole_file import clear_parts, writing_whole

from .signals import undisturbed
from .video_frames import opened_file, pyav

if TYPE_CHECKING:
    from av import Packet
    from av.audio.stream import AudioStream
    from av.container import InputContainer, OutputContainer

LONGEST_STILL = 60.0
"""Maximum duration of one picture in seconds; a longer gap is considered an error in the timestamps of the file."""
TICKS = 60_000
"""Ticks per second, to which picture times are rounded. Exact at 24, 25, 30, 50, 60 and 29.97 frames per second."""
MP4_SOUND = ('aac', 'ac3', 'alac', 'eac3', 'mp3', 'opus')
"""Audio codecs that are copied to the MP4 without re-encoding; others are encoded as AAC."""

PREROLL = 0.05
"""Seconds of sound to copy before the first picture, because the decoder needs one or two packets to start."""
SOUND_RATE = 48_000
"""Sample rate of re-encoded sound, in Hz."""


class VideoWriter:
    """Encode pictures with their times as H.264, or as MPEG-4 if PyAV's FFmpeg has no libx264.

    Args:
        path: path of the output file.
        rate: approximate frames per second; sets the duration of the last picture.
        sound_of: path of a video whose sound is copied, up to the end of the last picture.
    """

    def __init__(self, path: Path, rate: float, sound_of: str | None = None) -> None:
        self._path, self._rate = path, rate
        self._source = opened_file(sound_of) if sound_of else None
        self._file: OutputContainer | None = None
        self._gaps = self._last = 0.0
        self._tick = -1

    def add(self, picture: np.ndarray, seconds: float) -> None:
        """Encode one picture.

        Args:
            picture: ``(H, W, 3)`` BGR uint8; the first picture sets the size of the video.
            seconds: time since the first picture; must increase.
        """
        with undisturbed():
            if self._file is None:
                self._open(*(side + side % 2 for side in picture.shape[:2]))  # the codecs need even sides
            self._gaps += max(seconds - self._last - LONGEST_STILL, 0.0)
            self._last = seconds
            shown = seconds - self._gaps
            self._tick = max(round(shown * TICKS), self._tick + 1)
            frame = pyav().VideoFrame.from_ndarray(_fitted(picture, self._video.width, self._video.height), 'bgr24')
            frame.pts, frame.time_base = self._tick, Fraction(1, TICKS)
            self._write(self._video.encode(frame))
            self._copy_sound(shown)

    def close(self) -> None:
        """Encode the remaining packets and sound, and close the file."""
        if self._file is not None:
            self._write(self._video.encode(None))
            self._copy_sound(self._last - self._gaps + 1 / self._rate)
            self._file.close()

    def abandon(self) -> None:
        """Close all files and ignore errors."""
        for file in filter(None, (self._file, self._source)):
            with suppress(OSError, ValueError):
                file.close()

    def _open(self, height: int, width: int) -> None:
        self._file = pyav().open(f'file:{self._path}', 'w', format='mp4', options={'movflags': '+faststart'})
        codec, quality = ('libx264', dict(preset='veryfast', crf='20')) if has_h264() else ('mpeg4', dict(qmin='3'))
        options = {**quality, 'bf': '0'}  # with B-frames, irregular times would give a wrong duration
        self._video = self._file.add_stream(codec, Fraction(self._rate).limit_denominator(1001), options=options)
        self._video.width, self._video.height, self._video.pix_fmt = width, height, 'yuv420p'
        self._video.codec_context.time_base = Fraction(1, TICKS)
        self._sound = _sound_packets(self._source, self._file) if self._source else iter(())
        self._next_sound = next(self._sound, None)

    def _write(self, packets: list[Packet]) -> None:
        for packet in packets:
            packet.duration = packet.duration or round(TICKS / self._rate)  # only the last one's duration has an effect
            self._file.mux(packet)

    def _copy_sound(self, until: float) -> None:
        while self._next_sound is not None and self._next_sound.pts * self._next_sound.time_base < until:
            self._file.mux(self._next_sound)
            self._next_sound = next(self._sound, None)


@contextmanager
def written_video(path: Path, rate: float, sound_of: str | None = None) -> Iterator[VideoWriter]:
    """Open a :class:`VideoWriter`; its file is moved to ``path`` at the end, or removed after an error.

    Raises:
        InputError: the file cannot be written.
    """
    with ExitStack() as opened:
        part = opened.enter_context(writing_whole(path))
        opened.enter_context(_system_errors())
        clear_parts(path.parent, [glob.escape(path.name)])  # left by a process that was killed
        writer = VideoWriter(part, rate, sound_of)
        opened.callback(writer.abandon)
        yield writer
        with undisturbed():
            writer.close()
            opened.close()


def has_h264() -> bool:
    """Whether PyAV's FFmpeg can encode H.264, which browsers can play."""
    return 'libx264' in pyav().codecs_available


def has_sound(path: str) -> bool:
    """Whether a video has sound."""
    with opened_file(path) as container:
        return container.streams.best('audio') is not None


def _sound_packets(source: InputContainer, target: OutputContainer) -> Iterator[Packet]:
    """Packets of the best audio stream for another file, from the first picture on; stops at damaged data."""
    heard, video = source.streams.best('audio'), source.streams.best('video')
    if heard is None:
        return
    start = (video.start_time or 0) * video.time_base
    if heard.codec_context.codec.canonical_name in MP4_SOUND:
        stream, packets = target.add_stream_from_template(heard), source.demux(heard)
    else:
        stream = target.add_stream('aac', SOUND_RATE)
        packets = _encoded(source, heard, stream)
    last = None
    with suppress(pyav().FFmpegError):
        for packet in packets:
            if packet.dts is None:  # the last packet, which is empty
                continue
            for name in ('pts', 'dts'):
                setattr(packet, name, getattr(packet, name) - round(start / packet.time_base))
            if packet.pts * packet.time_base >= -PREROLL and (last is None or packet.dts > last):
                last, packet.stream = packet.dts, stream
                yield packet


def _encoded(source: InputContainer, heard: AudioStream, stream: AudioStream) -> Iterator[Packet]:
    for frame in source.decode(heard):
        yield from stream.encode(frame)
    yield from stream.encode(None)


@contextmanager
def _system_errors() -> Iterator[None]:
    """Convert FFmpeg's errors to OSError."""
    try:
        yield
    except pyav().FFmpegError as error:
        raise OSError(error.errno, error.strerror) from None


def _fitted(picture: np.ndarray, width: int, height: int) -> np.ndarray:
    """Bring a picture to this size: repeat the last row or column if it is one pixel short, else resize it."""
    right, below = width - picture.shape[1], height - picture.shape[0]
    if {right, below} <= {0, 1}:
        return cv2.copyMakeBorder(picture, 0, below, 0, right, cv2.BORDER_REPLICATE)
    return cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)
