"""Score anybody's WIDER FACE predictions: ``eval_wider.py PREDICTIONS --gt DIR [--plot pr.png] [--json scores.json]``.

PREDICTIONS is a folder or a zip with ``event/image.txt`` for each image: its name, the number of rows, then rows
``x y w h score``. DIR holds the four official files ``wider_face_val.mat`` and ``wider_{easy,medium,hard}_val.mat``.
A malformed file ends it with one line. Missing and unknown files are reported on stderr, and the rest is scored. Needs
neither torch nor MMDetection.
"""

from __future__ import annotations

import argparse
import sys

from mmdark.errors import run_or_explain
from mmdark.evaluation.box_units import SIZES, unit_hints
from mmdark.evaluation.precision_recall_plot import check_plot_path, plot_precision_recall
from mmdark.evaluation.prediction_files import read_wider_predictions
from mmdark.evaluation.score_report import report_scores, score_record
from mmdark.evaluation.wider_protocol import evaluate_wider, load_wider_ground_truth


def parse_args() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description='Official and exact AP of WIDER FACE predictions.')
    parser.add_argument('predictions', metavar='PREDICTIONS', help='folder or zip of event/image.txt')
    parser.add_argument('--gt', required=True, metavar='DIR', help='folder of the four official .mat files')
    parser.add_argument('--plot', metavar='FILE', help='draw precision-recall curves into a .png, .pdf or .svg')
    parser.add_argument('--json', metavar='FILE', help='write scores and all problems')
    parser.add_argument('--strict', action='store_true', help='exit status 1 where files are missing or unknown')
    return parser.parse_args()


def main() -> None:
    """Read, score, report."""
    args = parse_args()
    check_plot_path(args.plot)
    truth = load_wider_ground_truth(args.gt)
    predictions, problems = read_wider_predictions(args.predictions, truth.faces)
    problems = unit_hints(predictions, truth.faces, SIZES) + problems
    scores = evaluate_wider(predictions, truth)
    record = score_record(
        scores,
        problems,
        protocol='WIDER FACE',
        predictions=args.predictions,
        ground_truth=args.gt,
        images=len(truth.faces),
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
