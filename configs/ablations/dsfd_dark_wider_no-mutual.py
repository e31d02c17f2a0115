"""Without mutual feature alignment."""

_base_ = ['../dsfd_dark_wider.py']

model = dict(loss_mutual=dict(loss_weight=0.0))
