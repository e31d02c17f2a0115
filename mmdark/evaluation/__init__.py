"""The official protocols of WIDER FACE and DARK FACE, exact average precision, and all of them as metrics of mmdet.

The protocols need NumPy alone, so the metrics, which need MMDetection, are loaded by whoever asks for them.
"""

import importlib

from mmdark.evaluation.average_precision import PrecisionRecall, Score, exact_average_precision
from mmdark.evaluation.dark_face_protocol import evaluate_dark_face
from mmdark.evaluation.precision_recall_plot import plot_precision_recall
from mmdark.evaluation.prediction_files import (
    read_dark_face_labels,
    read_dark_face_predictions,
    read_image_list,
    read_wider_predictions,
    write_dark_face_zip,
    write_wider_predictions,
)
from mmdark.evaluation.wider_protocol import WiderGroundTruth, evaluate_wider, load_wider_ground_truth

__all__ = [
    'PrecisionRecall',
    'Score',
    'WiderGroundTruth',
    'evaluate_dark_face',
    'evaluate_wider',
    'exact_average_precision',
    'load_wider_ground_truth',
    'plot_precision_recall',
    'read_dark_face_labels',
    'read_dark_face_predictions',
    'read_image_list',
    'read_wider_predictions',
    'write_dark_face_zip',
    'write_wider_predictions',
]

METRIC_FILES = {
    'CocoFaceMetric': 'coco_face_metric',
    'DarkFaceMetric': 'dark_face_metric',
    'ExDarkMetric': 'exdark_metric',
    'WiderFaceMetric': 'wider_face_metric',
}
"""Metric of mmdet → its file here."""


def __getattr__(name: str) -> object:
    """A metric by its name."""
    if name in METRIC_FILES:
        return getattr(importlib.import_module(f'mmdark.evaluation.{METRIC_FILES[name]}'), name)
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
