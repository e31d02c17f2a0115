"""A trained detector as a file that runs without mmdark, MMDetection and PyTorch."""

from .export_onnx import export_onnx

__all__ = ['export_onnx']
