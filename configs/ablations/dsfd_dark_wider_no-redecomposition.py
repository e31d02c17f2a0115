"""Without the coherence of the second decomposition."""

_base_ = ['../dsfd_dark_wider.py']

model = dict(loss_coherence=dict(loss_weight=0.0))
