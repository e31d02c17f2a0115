"""Generated data in the COCO format: noisy grey photographs with one to three coloured discs."""

import json
from pathlib import Path

import cv2
import numpy as np

SIZE = 64


def make_shapes(folder: Path, train: int = 4, val: int = 2) -> Path:
    """Write ``train/``, ``val/`` and ``annotations/{train,val}.json``; the same images every time."""
    rng = np.random.default_rng(0)
    (folder / 'annotations').mkdir(parents=True, exist_ok=True)
    for part, count in (('train', train), ('val', val)):
        (folder / part).mkdir(exist_ok=True)
        images, boxes = [], []
        for number in range(count):
            image = rng.integers(90, 130, (SIZE, SIZE, 3), dtype=np.uint8)
            for _ in range(rng.integers(1, 4)):
                radius = int(rng.integers(6, 16))
                x, y = (int(centre) for centre in rng.integers(radius, SIZE - radius, 2))
                cv2.circle(image, (x, y), radius, rng.integers(0, 256, 3).tolist(), -1)
                box, area = [x - radius, y - radius, 2 * radius, 2 * radius], 4 * radius**2
                boxes.append(dict(id=len(boxes), image_id=number, category_id=1, bbox=box, area=area, iscrowd=0))
            name = f'{number}.png'
            cv2.imwrite(str(folder / part / name), image)
            images.append(dict(id=number, file_name=name, width=SIZE, height=SIZE))
        document = dict(images=images, annotations=boxes, categories=[dict(id=1, name='disc')])
        (folder / 'annotations' / f'{part}.json').write_text(json.dumps(document))
    return folder
