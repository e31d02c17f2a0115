"""Small videos, and an inferencer that finds the bright square in them without a network."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from mmengine.config import Config

from mmdark.inference import FaceResult
from mmdark.inference.image_sources import each_source

SIDE = 24
"""Of the bright square in pixels."""
SIZE = (96, 64)
"""Width and height of a frame."""


def place_of(number: int) -> tuple[int, int]:
    """Left and top of the square in a frame."""
    return (3 * number) % (SIZE[0] - SIDE), (2 * number) % (SIZE[1] - SIDE)


def frame(number: int, level: int = 20) -> np.ndarray:
    """Dim noise with the square."""
    image = np.random.default_rng(number).integers(0, 2 * level, (SIZE[1], SIZE[0], 3), dtype=np.uint8)
    left, top = place_of(number)
    image[top : top + SIDE, left : left + SIDE] = 230
    return image


def write_video(path: Path, count: int = 20, rate: float = 25.0, make: Callable[[int], np.ndarray] = frame) -> Path:
    """A video of ``count`` frames, by OpenCV."""
    path.parent.mkdir(parents=True, exist_ok=True)
    codec = 'MJPG' if path.suffix == '.avi' else 'mp4v'
    height, width = make(0).shape[:2]
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*codec), rate, (width, height))
    for number in range(count):
        writer.write(make(number))
    writer.release()
    return path


def encode(path: Path, times: Iterable[float] = (), codec: str = 'libx264', sound: str = '', count: int = 30) -> Path:
    """The tiny video by PyAV, with a key frame every ten frames.

    Args:
        path: where to; its suffix tells the kind of file.
        times: of the frames in seconds; by default 25 frames per second.
        codec: of the pictures.
        sound: codec of a tone beside them; none by default.
        count: of the frames, where no times are given.
    """
    times = list(times) or [number / 25 for number in range(count)]
    with av.open(str(path), 'w') as file:
        pictures = file.add_stream(codec, 25, options={'g': '10'})
        pictures.width, pictures.height, pictures.pix_fmt = *SIZE, 'yuv420p'
        pictures.codec_context.time_base = Fraction(1, 1000 if codec == 'libx264' else 25)
        heard = file.add_stream(sound, 44100) if sound else None
        for number, seconds in enumerate(times):
            picture = av.VideoFrame.from_ndarray(frame(number), 'bgr24')
            picture.pts = round(seconds / pictures.codec_context.time_base)
            file.mux(pictures.encode(picture))
        file.mux(pictures.encode(None))
        if heard:
            length = round((times[-1] + 1 / 25) * 44100)
            tone = np.round(np.sin(np.arange(length) * (2 * np.pi * 440 / 44100)) * 20000).astype(np.int16)
            for start in range(0, length, 1024):
                samples = av.AudioFrame.from_ndarray(tone[None, start : start + 1024], 's16', 'mono')
                samples.sample_rate, samples.pts, samples.time_base = 44100, start, Fraction(1, 44100)
                file.mux(heard.encode(samples))
            file.mux(heard.encode(None))
    return path


def turned(path: Path, plain: Path) -> Path:
    """A copy of an MP4 that a player turns clockwise by 90 degrees, as phones write them: a matrix in its header."""
    content = bytearray(plain.read_bytes())
    matrix = content.index(b'tkhd') + 44
    content[matrix : matrix + 36] = struct.pack('>9i', 0, 1 << 16, 0, -1 << 16, 0, 0, SIZE[1] << 16, 0, 1 << 30)
    path.write_bytes(content)
    return path


def shown(path: Path) -> list[np.ndarray]:
    """The frames of a file, by OpenCV."""
    capture, images = cv2.VideoCapture(str(path)), []
    while (read := capture.read())[0]:
        images.append(read[1])
    return images


def times_of(path: Path) -> list[float]:
    """When the frames of a file are shown, in seconds."""
    with av.open(str(path)) as file:
        return sorted(float(packet.pts * packet.time_base) for packet in file.demux(video=0) if packet.size)


def lines_of(path: Path) -> list[dict[str, Any]]:
    """The lines of the frames, without the header."""
    return [json.loads(line) for line in path.read_text().splitlines()][1:]


class SquareFinder:
    """Stands in for FaceInferencer: the bounding box of all that is bright.

    Args:
        folder: where it keeps a file that stands for weights.
        fail: is called with the number of looks so far before each look; may raise.
    """

    def __init__(self, folder: Path, fail: Callable[[int], None] = lambda looks: None) -> None:
        self.cfg = Config(dict(model=dict(type='Square'), test_dataloader=dict(dataset=dict(pipeline=[]))))
        self.weights = folder / 'square.pth'
        self.class_names, self.backend = ('face',), 'torch'
        folder.mkdir(parents=True, exist_ok=True)
        self.weights.write_bytes(b'square')
        self.fail, self.looks = fail, 0

    def stream(
        self, inputs: Any, batch_size: int = 1, pred_score_thr: float = 0.3, tta: bool = False
    ) -> Iterator[tuple[FaceResult, np.ndarray]]:
        """As FaceInferencer's; reads a whole batch before it looks."""
        batch = []
        for source in each_source(inputs):
            batch.append(source)
            if len(batch) == batch_size:
                yield from self._look(batch)
                batch = []
        yield from self._look(batch)

    def _look(self, batch: list) -> Iterator[tuple[FaceResult, np.ndarray]]:
        for source in batch:
            self.fail(self.looks)
            self.looks += 1
            image = source.read()
            rows, columns = np.nonzero(image.min(axis=2) > 150)
            found = int(len(rows) > 0)
            box = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1] if found else []
            boxes, scores = np.array(box, np.float32).reshape(-1, 4), np.full(found, 0.75, np.float32)
            yield FaceResult(boxes, scores, image.shape[1], image.shape[0], source.name), image
