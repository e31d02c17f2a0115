"""Small videos, and an inferencer that finds the bright square in them without a network."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

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


def ffmpeg(*arguments: str | Path) -> None:
    """Run ffmpeg."""
    subprocess.run(['ffmpeg', '-y', '-loglevel', 'error', *map(str, arguments)], check=True, stdin=subprocess.DEVNULL)


def probe(path: Path) -> dict[str, Any]:
    """What ffprobe says of the streams of a file, by kind."""
    command = ['ffprobe', '-loglevel', 'error', '-show_streams', '-of', 'json', str(path)]
    streams = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)['streams']
    return {stream['codec_type']: stream for stream in streams}


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
