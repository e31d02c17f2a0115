"""A few noise images with one face each, laid out as COCO, VOC and YOLO folders."""

import json
from pathlib import Path

from tests.tiny_wider import FACE, photo

SIZE = (96, 80)
"""Width and height of the images."""

VOC_FILE = """<annotation>
  <filename>{name}.jpg</filename>
  <size><width>{width}</width><height>{height}</height><depth>3</depth></size>
  <object>
    <name>face</name><difficult>{difficult}</difficult>
    <bndbox><xmin>{box[0]}</xmin><ymin>{box[1]}</ymin><xmax>{box[2]}</xmax><ymax>{box[3]}</ymax></bndbox>
  </object>
</annotation>
"""


def write_coco(root: Path, train: int = 4, val: int = 4) -> Path:
    """``annotations/{part}.json`` and ``{part}/{part}_{number}.jpg``, as ``coco_face.py`` wants them."""
    (root / 'annotations').mkdir(parents=True, exist_ok=True)
    for part, count in (('train', train), ('val', val)):
        (root / part).mkdir()
        images = [
            {'id': i, 'file_name': f'{part}_{i}.jpg', 'width': SIZE[0], 'height': SIZE[1]} for i in range(1, count + 1)
        ]
        boxes = [
            {'id': i, 'image_id': i, 'category_id': 1, 'bbox': list(FACE), 'area': FACE[2] * FACE[3], 'iscrowd': 0}
            for i in range(1, count + 1)
        ]
        for image in images:
            photo(image['id']).save(root / part / image['file_name'])
        document = {'images': images, 'annotations': boxes, 'categories': [{'id': 1, 'name': 'face'}]}
        (root / 'annotations' / f'{part}.json').write_text(json.dumps(document))
    return root


def write_voc(root: Path, train: int = 4, val: int = 4, difficult: int = 0) -> Path:
    """``Annotations``, ``JPEGImages`` and ``ImageSets``, as ``voc_face.py`` wants them; corners counted from 1."""
    for folder in ('Annotations', 'JPEGImages', 'ImageSets/Main'):
        (root / folder).mkdir(parents=True, exist_ok=True)
    x, y, width, height = FACE
    box = (x + 1, y + 1, x + width + 1, y + height + 1)
    for part, count in (('train', train), ('val', val)):
        names = [f'{part}_{number}' for number in range(count)]
        for seed, name in enumerate(names):
            photo(seed).save(root / 'JPEGImages' / f'{name}.jpg')
            text = VOC_FILE.format(name=name, width=SIZE[0], height=SIZE[1], box=box, difficult=difficult)
            (root / 'Annotations' / f'{name}.xml').write_text(text)
        (root / 'ImageSets' / 'Main' / f'{part}.txt').write_text(''.join(f'{name}\n' for name in names))
    return root


def write_yolo(root: Path, count: int = 3) -> Path:
    """``images/sub/{number}.jpg``, ``labels/sub/{number}.txt`` and ``train.txt``, which lists the images."""
    x, y, width, height = FACE
    row = f'0 {(x + width / 2) / SIZE[0]:.6f} {(y + height / 2) / SIZE[1]:.6f} {width / SIZE[0]:.6f} {height / SIZE[1]}'
    for folder in ('images/sub', 'labels/sub'):
        (root / folder).mkdir(parents=True)
    for number in range(count):
        photo(number).save(root / f'images/sub/{number}.jpg')
        (root / f'labels/sub/{number}.txt').write_text(f'{row}\n')
    (root / 'train.txt').write_text(''.join(f'./images/sub/{number}.jpg\n' for number in range(count)))
    return root
