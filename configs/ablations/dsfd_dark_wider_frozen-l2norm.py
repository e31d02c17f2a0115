"""The scales of the six L2Norms stay where they start, as in the published code, which trains all but them."""

_base_ = ['../dsfd_dark_wider.py']

optim_wrapper = dict(paramwise_cfg=dict(custom_keys={'l2norm': dict(lr_mult=0.0)}))
