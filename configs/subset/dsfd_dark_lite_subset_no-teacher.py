"""Alignment of light and dark features alone: no decomposition, no redecomposition."""

_base_ = ['./dsfd_dark_lite_subset.py']

model = dict(enhancer=None)
