"""The official protocols of WIDER FACE and DARK FACE, exact average precision, and all of them as metrics of mmdet."""

from mmdark.evaluation.average_precision import PrecisionRecall, Score, exact_average_precision
from mmdark.evaluation.coco_face_metric import CocoFaceMetric
from mmdark.evaluation.dark_face_metric import DarkFaceMetric
from mmdark.evaluation.dark_face_protocol import evaluate_dark_face
from mmdark.evaluation.exdark_metric import ExDarkMetric
from mmdark.evaluation.precision_recall_plot import plot_precision_recall
from mmdark.evaluation.prediction_files import (
    read_dark_face_labels,
    read_dark_face_predictions,
    read_image_list,
    read_wider_predictions,
    write_dark_face_zip,
    write_wider_predictions,
)
from mmdark.evaluation.wider_face_metric import WiderFaceMetric
from mmdark.evaluation.wider_protocol import WiderGroundTruth, evaluate_wider, load_wider_ground_truth

__all__ = [
    'CocoFaceMetric',
    'DarkFaceMetric',
    'ExDarkMetric',
    'PrecisionRecall',
    'Score',
    'WiderFaceMetric',
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
