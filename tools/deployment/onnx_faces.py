"""Find faces with a file of ``mmdark export --format onnx``: ``python onnx_faces.py FACES.onnx PHOTO.jpg``.

It needs onnxruntime, numpy and OpenCV; copy it to where you need it.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import cv2
import numpy as np
import onnxruntime


def find_faces(session: onnxruntime.InferenceSession, image: np.ndarray, score: float) -> tuple[np.ndarray, np.ndarray]:
    """Boxes ``(N, 4)``, x1 y1 x2 y2 in pixels, and scores ``(N,)`` of a BGR image, from the best on.

    A file of several classes gives ``labels``, too; its metadata ``classes`` names them in the order of the numbers.
    """
    _, boxes, scores = session.run(['image', 'boxes', 'scores'], {'images': image[None]})
    height, width = image.shape[:2]
    return boxes[scores >= score].clip(0, [width, height, width, height]), scores[scores >= score]


def main() -> None:
    """Read, find, write ``PHOTO_faces.json`` and ``PHOTO_faces.jpg``."""
    parser = argparse.ArgumentParser(description='Find faces in a photograph; neither mmdark nor PyTorch is needed.')
    parser.add_argument('model', help='file written by: mmdark export CHECKPOINT faces.onnx')
    parser.add_argument('photo', type=Path, help='image to look at')
    parser.add_argument(
        '--out', type=Path, help='picture to write (default: PHOTO_faces.jpg here); *.json goes beside it'
    )
    parser.add_argument('--score', type=float, default=0.3, help='show faces from this score on (default: %(default)s)')
    args = parser.parse_args()
    out = args.out or Path(f'{args.photo.stem}_faces.jpg')
    image = cv2.imread(str(args.photo))
    if image is None:
        sys.exit(f'error: {args.photo} cannot be read as an image: name a JPEG or PNG')
    session = onnxruntime.InferenceSession(args.model, providers=onnxruntime.get_available_providers())
    boxes, scores = find_faces(session, image, args.score)
    faces = [dict(box=box, score=score) for box, score in zip(boxes.tolist(), scores.tolist(), strict=True)]
    for x1, y1, x2, y2 in boxes.round().astype(int).tolist():
        cv2.rectangle(image, (x1, y1), (x2, y2), (0, 255, 255), max(1, round(max(image.shape) / 600)))
    try:
        out.write_bytes(cv2.imencode('.jpg', image)[1].tobytes())
        out.with_suffix('.json').write_text(json.dumps(faces, indent=1))
    except OSError as error:
        sys.exit(f'error: {out} cannot be written ({error.strerror}): name another with --out')
    print(f'{len(faces)} faces: {out}, {out.with_suffix(".json")}')


if __name__ == '__main__':
    main()
