"""Parity: our numbers beside those that the authors' code printed."""

import mmdark.register  # noqa: F401  builds the bridges first

# isort: split
from .check import CHECKS, check_parity
from .comparison import Comparison, compare, table
from .golden import GoldenCase, golden_cases
from .recipe import dark_image, light_image, published_weights

__all__ = [
    'CHECKS',
    'Comparison',
    'GoldenCase',
    'check_parity',
    'compare',
    'dark_image',
    'golden_cases',
    'light_image',
    'published_weights',
    'table',
]
