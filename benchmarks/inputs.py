"""Random inputs of real shapes: photographs of noise, faces, data samples, a WIDER folder."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import torch
from mmdet.structures import DetDataSample
from mmengine.structures import InstanceData
from torch import Tensor

from .machine import Settings

PHOTO = (1024, 768)
"""Width and height of a usual image of WIDER FACE, whose width is always 1024."""
GRAIN = 8
"""Size in pixels of the noise's blotches: a JPEG of it has about as many bytes as a real photograph."""


def photo(size: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Smooth noise, ``(height, width, 3)`` uint8, of a size given as width and height."""
    width, height = size
    blotches = rng.integers(0, 256, (height // GRAIN + 1, width // GRAIN + 1, 3), dtype=np.uint8)
    grain = rng.integers(0, 12, (height, width, 3), dtype=np.uint8)
    return cv2.add(cv2.resize(blotches, size, interpolation=cv2.INTER_CUBIC), grain)


def faces(count: int, size: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Boxes x1 y1 x2 y2 in pixels, from 8 pixels to a quarter of the shorter side, most of them small."""
    shortest, longest = np.log(8), np.log(max(min(size) / 4, 9))
    sides = np.exp(rng.uniform(shortest, longest, (count, 1))) * rng.uniform(0.8, 1.2, (count, 2))
    corners = rng.uniform(0, 1, (count, 2)) * (np.array(size) - sides)
    return np.concatenate([corners, corners + sides], axis=1).astype(np.float32)


def photos_of(settings: Settings, batch: int) -> list[np.ndarray]:
    """A batch of square photographs, BGR."""
    rng = np.random.default_rng(settings.seed)
    return [photo((settings.size, settings.size), rng) for _ in range(batch)]


def faces_of(settings: Settings, batch: int) -> list[np.ndarray]:
    """The faces of a batch of square photographs."""
    rng = np.random.default_rng(settings.seed)
    return [faces(settings.faces, (settings.size, settings.size), rng) for _ in range(batch)]


def as_tensor(image: np.ndarray) -> Tensor:
    """``(H, W, 3)`` as ``(3, H, W)``."""
    return torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))


def rgb_batch(settings: Settings, batch: int) -> Tensor:
    """A batch of photographs as the published code takes them, RGB in [0, 1], on the device."""
    photos = [as_tensor(image[..., ::-1]) for image in photos_of(settings, batch)]
    return torch.stack(photos).to(settings.device) / 255


def data_samples(boxes: list[np.ndarray], size: int) -> list[DetDataSample]:
    """The data samples that a pipeline gives with square images."""
    shape = (size, size)
    samples = []
    for each in boxes:
        meta = dict(img_shape=shape, pad_shape=shape, batch_input_shape=shape, ori_shape=shape, scale_factor=(1.0, 1.0))
        labels = torch.zeros(len(each), dtype=torch.long)
        instances = InstanceData(bboxes=torch.from_numpy(each), labels=labels)
        samples.append(DetDataSample(metainfo=meta, gt_instances=instances))
    return samples


def write_wider(root: Path, images: int, count: int, seed: int) -> Path:
    """A WIDER folder of noise: ``images`` for training and for validation, with ``count`` faces in each."""
    rng = np.random.default_rng(seed)
    (root / 'wider_face_split').mkdir(parents=True)
    for part in ('train', 'val'):
        folder = root / f'WIDER_{part}' / 'images' / '0--Noise'
        folder.mkdir(parents=True)
        lines = []
        for number in range(images):
            name = f'0--Noise/{number}.jpg'
            cv2.imwrite(str(folder.parent / name), photo(PHOTO, rng), [cv2.IMWRITE_JPEG_QUALITY, 90])
            rows = [(x1, y1, x2 - x1, y2 - y1) for x1, y1, x2, y2 in faces(count, PHOTO, rng).astype(int)]
            lines += [name, str(count), *(f'{x} {y} {w} {h} 0 0 0 0 0 0' for x, y, w, h in rows)]
        (root / 'wider_face_split' / f'wider_face_{part}_bbx_gt.txt').write_text('\n'.join(lines) + '\n')
    return root
