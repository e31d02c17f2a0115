"""Detect objects, such as faces, on photographs; uses the models, the data sets and the engine."""

import mmdark.register  # noqa: F401  builds the bridges first

# isort: split
from .detector import LoadedDetector, chosen_device, load_detector
from .image_sources import IMAGE_SUFFIXES, ImageSource, each_source, image_sources
from .inferencer import FaceInferencer, Inferencer
from .result import BrokenImage, DetectionResult, FaceResult
from .tiles import detect_in_tiles, tile_side
from .weights import config_of, shipped_weights

__all__ = [
    'IMAGE_SUFFIXES',
    'BrokenImage',
    'DetectionResult',
    'FaceInferencer',
    'FaceResult',
    'ImageSource',
    'Inferencer',
    'LoadedDetector',
    'chosen_device',
    'config_of',
    'detect_in_tiles',
    'each_source',
    'image_sources',
    'load_detector',
    'shipped_weights',
    'tile_side',
]
