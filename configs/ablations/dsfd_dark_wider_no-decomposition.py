"""Without the decomposition loss: the decoder does not imitate the teacher's reflectance.

It still learns from the teacher's illumination, by reconstruction.
"""

_base_ = ['../dsfd_dark_wider.py']

model = dict(losses=dict(decomposition=None))
