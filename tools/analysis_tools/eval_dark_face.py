"""Score anybody's DARK FACE predictions: ``eval_dark_face.py PREDICTIONS --gt DIR [--list FILE]``.

PREDICTIONS is a folder or a zip with ``image.txt`` for each image, rows ``x1 y1 x2 y2 score``. DIR holds the labels,
``image.txt`` with the number of faces and rows ``x1 y1 x2 y2``. FILE names the images to score, one a line, and is
needed where DIR has more of them. PREDICTIONS may also be a folder that holds both as ``pred/`` and ``gt/``, with no
--gt, or with one of its own. A malformed file ends it with one line. Missing and unknown files are reported on stderr,
and the rest is scored. Needs neither torch nor MMDetection.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from mmdark.errors import run_or_explain
from mmdark.evaluation.box_units import CORNERS, unit_hints
from mmdark.evaluation.dark_face_protocol import evaluate_dark_face
from mmdark.evaluation.precision_recall_plot import check_plot_path, plot_precision_recall
from mmdark.evaluation.prediction_files import (
    read_dark_face_labels,
    read_dark_face_predictions,
    read_image_list,
)
from mmdark.evaluation.score_report import report_scores, score_record


def parse_args() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description='Official and exact AP of DARK FACE predictions.')
    parser.add_argument('predictions', metavar='PREDICTIONS', help='folder or zip of image.txt')
    parser.add_argument('--gt', metavar='DIR', help='folder or zip of the labels (default: gt/ beside pred/)')
    parser.add_argument('--list', metavar='FILE', help='text file with the images to score (default: all labels)')
    parser.add_argument('--plot', metavar='FILE', help='draw precision-recall curves into a .png, .pdf or .svg')
    parser.add_argument('--json', metavar='FILE', help='write scores and all problems')
    parser.add_argument('--strict', action='store_true', help='exit status 1 where files are missing or unknown')
    args = parser.parse_args()
    both = Path(args.predictions)
    if args.gt is None:
        if not (both / 'gt').is_dir():
            parser.error(f'--gt is needed: there is no folder {both / "gt"}')
        args.gt = str(both / 'gt')
    if (both / 'pred').is_dir():
        args.predictions = str(both / 'pred')
    return args


def main() -> None:
    """Read, score, report."""
    args = parse_args()
    check_plot_path(args.plot)
    images = read_image_list(args.list) if args.list else None
    faces, label_problems = read_dark_face_labels(args.gt, images)
    predictions, problems = read_dark_face_predictions(args.predictions, faces)
    problems = unit_hints(predictions, faces, CORNERS) + [f'label {line}' for line in label_problems] + problems
    scores = {'all': evaluate_dark_face(predictions, faces)}
    record = score_record(
        scores,
        problems,
        protocol='DARK FACE',
        predictions=args.predictions,
        ground_truth=args.gt,
        images=len(faces),
        images_with_file=len(predictions),
        detections=sum(map(len, predictions.values())),
    )
    report_scores(record, scores, args.json)
    if args.plot:
        plot_precision_recall(args.plot, scores)
    if args.strict and problems:
        sys.exit(1)


if __name__ == '__main__':
    run_or_explain(main)
