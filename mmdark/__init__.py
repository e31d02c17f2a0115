"""mmdark: face detectors that see in the dark, for MMDetection. Importing it registers everything."""

__version__ = '0.1.0'

from mmdark import compat, models  # noqa: I001  compat bridges mmcv before mmdet is imported

__all__ = ['compat', 'models']
