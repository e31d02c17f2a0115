"""mmdark: face detectors that see in the dark, for MMDetection. Importing it registers everything."""

__version__ = '0.1.0'

from mmdark import compat  # isort: split

from mmdark import datasets, engine, evaluation, models

__all__ = ['compat', 'datasets', 'engine', 'evaluation', 'models']
