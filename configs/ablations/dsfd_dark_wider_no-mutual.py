"""Without mutual feature alignment, of the images and of the recomposed ones."""

_base_ = ['../dsfd_dark_wider.py']

model = dict(losses=dict(mutual=None))
