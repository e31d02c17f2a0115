"""Score what ``mmdark detect`` found: ``eval_faces.py RESULTS --ann-file GT [--night LIST] [--out DETECTIONS.json]``.

    mmdark detect data/wider/WIDER_val/images --json --out-dir out --score-thr 0.02 --tile none
    python tools/analysis_tools/eval_faces.py out --ann-file data/wider/wider_face_split/wider_face_val_bbx_gt.txt

It prints exact AP in percent at IoU 0.5 by the height of the faces, on badly lit ones and on night images. ``--out``
writes the detections as ``{"event/image.jpg": [[x1, y1, x2, y2, score], ...]}`` for other scorers.
"""

from __future__ import annotations

import argparse
import sys

import numpy as np
from face_labels import read_face_labels, read_night_list, short_name, write_detections

from mmdark.apis import run_or_explain
from mmdark.errors import InputError
from mmdark.evaluation.face_scores import face_scores
from mmdark.inference.result_files import read_results


def parse_args() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description='AP of detections by height, on badly lit faces and at night.')
    parser.add_argument('results', metavar='RESULTS', help='results.json of mmdark detect, or its folder')
    parser.add_argument('--ann-file', required=True, metavar='FILE', help='*_bbx_gt.txt of WIDER FACE, or one like it')
    parser.add_argument('--night', metavar='FILE', help='event/image.jpg a line: AP on these, too')
    parser.add_argument('--out', metavar='FILE', help='write the detections, image by image')
    return parser.parse_args()


def stem(name: str) -> str:
    """``event/image.jpg`` without its suffix."""
    return name.rpartition('.')[0]


def main() -> None:
    """Read, score, print, write."""
    args = parse_args()
    labels = read_face_labels(args.ann_file)
    night = read_night_list(args.night, labels) if args.night else ()
    results, _, _ = read_results(args.results)
    names = {stem(name): name for name in labels}  # a dark copy may be .png
    looked_at = [(short_name(each.source), np.column_stack([each.boxes, each.scores])) for each in results]
    found = {names.get(stem(name), name): rows for name, rows in looked_at}
    if missing := [name for name in labels if name not in found]:
        if len(missing) == len(labels):
            raise InputError(f'{args.results} and {args.ann_file} share no image: names must end in event/image.jpg')
        print(f'{len(missing)} of {len(labels)} images were not looked at: no face found there', file=sys.stderr)
    for score, value in face_scores(labels, found, night).items():
        print(f'{score:15s} {value:5.1f}')
    if args.out:
        write_detections(args.out, found)


if __name__ == '__main__':
    run_or_explain(main)
