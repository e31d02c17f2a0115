"""Without the decomposition loss: the decoder does not imitate the teacher's reflectance."""

_base_ = ['./dsfd_dark_lite_subset.py']

model = dict(losses=dict(decomposition=None))
