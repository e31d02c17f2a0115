"""The official protocols of WIDER FACE and DARK FACE and exact average precision, with NumPy; and metrics of mmdet."""

from mmdark.evaluation.average_precision import exact_average_precision
from mmdark.evaluation.dark_face_protocol import evaluate_dark_face
from mmdark.evaluation.wider_protocol import WiderGroundTruth, evaluate_wider, load_wider_ground_truth

__all__ = [
    'WiderGroundTruth',
    'evaluate_dark_face',
    'evaluate_wider',
    'exact_average_precision',
    'load_wider_ground_truth',
]
