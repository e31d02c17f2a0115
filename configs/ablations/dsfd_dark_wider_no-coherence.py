"""Without redecomposition coherence: the recomposed images are aligned, but not decoded a second time."""

_base_ = ['../dsfd_dark_wider.py']

model = dict(losses=dict(coherence=None))
