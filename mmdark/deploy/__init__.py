"""Export a trained detector to a file that runs without mmdark, MMDetection and PyTorch."""

import mmdark.register  # noqa: F401  builds the bridges first

# isort: split
from .export_onnx import export_onnx

__all__ = ['export_onnx']
