"""The transforms in the order of training, on awkward images and on real ones."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

import mmdark.register  # noqa: F401
from mmdark.datasets import WiderDataset
from mmdark.errors import InputError

REAL_ROOT = Path(__file__).resolve().parents[2].parent / 'shared' / 'data' / 'wider'
SIZE = 96
PIPELINE = [
    {'type': 'LoadPhoto'},
    {'type': 'LoadAnnotations', 'with_bbox': True},
    {'type': 'KeepFaces'},
    {'type': 'ColorDistortion'},
    {
        'type': 'RandomChoice',
        'transforms': [
            [{'type': 'DataAnchorSampling', 'input_size': SIZE}],
            [{'type': 'RandomSquareCrop'}, {'type': 'RandomInterpResize', 'input_size': SIZE}],
        ],
    },
    {'type': 'RandomFlip', 'prob': 0.5},
    {'type': 'KeepFaces', 'min_size': 6, 'clip': True, 'allow_empty': False},
    {'type': 'PackDetInputs'},
]


def write_images(root: Path) -> None:
    """One image of each awkward kind, most with a face, and their annotation."""
    rng = np.random.default_rng(0)
    photo = Image.fromarray(rng.integers(0, 256, (90, 120, 3), dtype=np.uint8))
    for name, mode in [('rgb.jpg', 'RGB'), ('grey.jpg', 'L'), ('rgba.png', 'RGBA'), ('cmyk.jpg', 'CMYK')]:
        photo.convert(mode).save(root / name)
    cv2.imwrite(str(root / 'deep.png'), rng.integers(0, 65536, (90, 120, 3), dtype=np.uint16))
    photo.crop((0, 0, 1, 1)).save(root / 'one_pixel.png')
    photo.save(root / 'no_face.jpg')
    face, outside, one = '30 20 40 50', '500 500 20 20', '0 0 1 1'
    images = [(name, [face, outside]) for name in ('rgb.jpg', 'grey.jpg', 'rgba.png', 'cmyk.jpg', 'deep.png')]
    images += [('one_pixel.png', [one]), ('no_face.jpg', [])]
    text = ''.join(f'{name}\n{len(faces)}\n' + ''.join(f'{row}\n' for row in faces) for name, faces in images)
    (root / 'gt.txt').write_text(text)


def check(sample: dict) -> None:
    img, boxes = sample['inputs'], sample['data_samples'].gt_instances.bboxes.tensor
    assert img.shape == (3, SIZE, SIZE) and img.dtype == torch.uint8
    assert len(boxes) == len(sample['data_samples'].gt_instances.labels) > 0
    assert (boxes >= 0).all() and (boxes <= SIZE).all() and (boxes[:, 2:] - boxes[:, :2] >= 6).all()
    assert {'img_id', 'img_path', 'ori_shape', 'img_shape'} <= set(sample['data_samples'].metainfo)


def test_awkward_images(tmp_path: Path) -> None:
    write_images(tmp_path)
    dataset = WiderDataset(data_root=str(tmp_path), ann_file='gt.txt', pipeline=PIPELINE)
    np.random.seed(0)  # noqa: NPY002
    taken = set()
    for _ in range(10):
        for i in range(len(dataset)):  # the image without faces is replaced by another
            sample = dataset[i]
            check(sample)
            taken.add(Path(sample['data_samples'].img_path).name)
    assert taken >= {'rgb.jpg', 'grey.jpg', 'rgba.png', 'cmyk.jpg', 'deep.png', 'one_pixel.png'}
    assert 'no_face.jpg' not in taken


def test_a_damaged_image_stops_with_its_name(tmp_path: Path) -> None:
    write_images(tmp_path)
    (tmp_path / 'rgb.jpg').write_bytes((tmp_path / 'rgb.jpg').read_bytes()[:-100])
    dataset = WiderDataset(data_root=str(tmp_path), ann_file='gt.txt', pipeline=PIPELINE)
    with pytest.raises(InputError, match=r'rgb\.jpg is cut off'):
        dataset[0]


def test_same_seed_same_sample(tmp_path: Path) -> None:
    write_images(tmp_path)
    dataset = WiderDataset(data_root=str(tmp_path), ann_file='gt.txt', pipeline=PIPELINE)
    drawn = []
    for _ in range(2):
        np.random.seed(5)  # noqa: NPY002
        drawn.append(torch.stack([dataset[0]['inputs'] for _ in range(4)]))
    assert torch.equal(*drawn)
    assert not torch.equal(drawn[0][0], drawn[0][1])


@pytest.mark.skipif(not REAL_ROOT.is_dir(), reason=f'no WIDER FACE images at {REAL_ROOT}')
def test_real_images() -> None:
    dataset = WiderDataset(
        data_root=str(REAL_ROOT),
        ann_file='wider_face_split/wider_face_train_subset_bbx_gt.txt',
        data_prefix={'img': 'WIDER_train/images'},
        filter_cfg={'filter_empty_gt': True},
        pipeline=PIPELINE,
    )
    np.random.seed(0)  # noqa: NPY002
    for i in range(0, len(dataset), 40):
        check(dataset[i])
