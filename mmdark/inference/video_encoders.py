"""Pictures of one size into an MP4 file: by ffmpeg, with the sound of the source, or by OpenCV."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import cv2
import numpy as np

from mmdark.errors import InputError

MP4_SOUND = ('aac', 'ac3', 'alac', 'eac3', 'mp3', 'opus')
"""Codecs that are copied into an MP4 as they are; sound in others is encoded as AAC."""


@dataclass(frozen=True)
class Sound:
    """The first sound of a video file.

    Attributes:
        path: of the file.
        codec: as ffmpeg names it.
        seconds: of it that are taken.
    """

    path: str
    codec: str
    seconds: float


def sound_of(path: str, seconds: float) -> Sound | None:
    """The sound of a file; None where it has none, or there is no ffmpeg."""
    if not _ffmpeg():
        return None
    said = _ask(_ffmpeg(), ['-i', f'file:{path}'])
    found = re.search(r'Stream #0:.*: Audio: (\w+)', said)
    return Sound(path, found[1], seconds) if found else None


def how_written(sound: Sound | None, source_name: str) -> str:
    """One line that says what a file of :func:`open_encoder` is made of."""
    if not _ffmpeg():
        return (
            'MPEG-4, without sound: ffmpeg is not installed; browsers play it only as H.264, which ffmpeg would write'
        )
    codec = 'H.264' if _has_h264(_ffmpeg()) else 'MPEG-4 (this ffmpeg has no libx264; browsers may not play it)'
    return f'{codec}, with the sound of {source_name}' if sound else f'{codec}, without sound: {source_name} has none'


def open_encoder(
    path: Path, width: int, height: int, rate: float, sound: Sound | None = None
) -> FfmpegEncoder | OpenCVEncoder:
    """The better of the two that there is.

    Args:
        path: of the file; its name ends with ``.mp4``.
        width: of the pictures in pixels, even.
        height: of the pictures in pixels, even.
        rate: frames a second.
        sound: goes beside them.

    Raises:
        InputError: the file cannot be opened.
    """
    kind = FfmpegEncoder if _ffmpeg() else OpenCVEncoder
    return kind(path, width, height, rate, sound)


class FfmpegEncoder:
    """Pictures through a pipe to ffmpeg, which does not hear the Ctrl-C that is meant for us."""

    def __init__(self, path: Path, width: int, height: int, rate: float, sound: Sound | None) -> None:
        self._said = tempfile.TemporaryFile()  # noqa: SIM115, closed by abandon
        pictures = [
            '-f',
            'rawvideo',
            '-pix_fmt',
            'bgr24',
            '-s',
            f'{width}x{height}',
            '-r',
            f'{rate:.6f}',
            '-i',
            'pipe:0',
        ]
        beside = (
            ['-t', f'{sound.seconds:.3f}', '-i', f'file:{sound.path}', '-map', '0:v', '-map', '1:a:0'] if sound else []
        )
        beside += ['-c:a', 'copy' if sound.codec in MP4_SOUND else 'aac'] if sound else []
        codec = ['libx264', '-preset', 'veryfast', '-crf', '20'] if _has_h264(_ffmpeg()) else ['mpeg4', '-q:v', '3']
        end = ['-pix_fmt', 'yuv420p', '-movflags', '+faststart', '-f', 'mp4', f'file:{path}']
        self._process = subprocess.Popen(
            [_ffmpeg(), '-hide_banner', '-loglevel', 'error', '-y', *pictures, *beside, '-c:v', *codec, *end],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=self._said,
            start_new_session=True,
        )

    def write(self, picture: np.ndarray) -> None:
        """Hand over one picture."""
        try:
            self._process.stdin.write(picture.data)
        except OSError:
            self._process.wait()
            raise self._gave_up() from None

    def close(self, written: int) -> None:
        """Wait for the end of the file."""
        with suppress(OSError):  # it may have ended by itself
            self._process.stdin.close()
        if self._process.wait():
            raise self._gave_up()

    def abandon(self) -> None:
        """End the process, where it still runs."""
        with suppress(OSError):
            self._process.stdin.close()
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        self._said.close()

    def _gave_up(self) -> InputError:
        self._said.seek(0)
        lines = self._said.read().decode(errors='replace').strip().splitlines()
        why = next((line for line in lines if 'No space left' in line), lines[-1] if lines else 'it says nothing')
        return InputError(f'the video cannot be written, ffmpeg gave up: {why}')


class OpenCVEncoder:
    """Pictures to OpenCV's own encoder, without sound."""

    def __init__(self, path: Path, width: int, height: int, rate: float, sound: Sound | None) -> None:
        self._path = path
        self._writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*'mp4v'), rate, (width, height))
        if not self._writer.isOpened():
            raise InputError(
                f'the video cannot be written: OpenCV cannot open {path}; free some space or install ffmpeg'
            )

    def write(self, picture: np.ndarray) -> None:
        """Hand over one picture."""
        self._writer.write(picture)

    def close(self, written: int) -> None:
        """Finish the file and count its frames: OpenCV says nothing of a full disk."""
        self._writer.release()
        capture = cv2.VideoCapture(str(self._path))
        count = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
        capture.release()
        if count != written:
            raise InputError(
                f'the video cannot be written: {max(count, 0)} of {written} frames are in it; free some space'
            )

    def abandon(self) -> None:
        """Close the file."""
        self._writer.release()


def _ffmpeg() -> str | None:
    return shutil.which('ffmpeg')


@cache
def _has_h264(ffmpeg: str) -> bool:
    return ' libx264 ' in _ask(ffmpeg, ['-encoders'])


def _ask(ffmpeg: str, arguments: list[str]) -> str:
    """What ffmpeg says."""
    command = [ffmpeg, '-hide_banner', *arguments]
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
    )
    return done.stdout.decode(errors='replace')
