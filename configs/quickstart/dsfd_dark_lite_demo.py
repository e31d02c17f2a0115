"""The quickstart: the lite dark detector on a demo set of 48 images, in two minutes on two CPU cores."""

_base_ = ['../dsfd_dark_lite_wider.py']

max_iters = 200

train_cfg = dict(max_iters=max_iters, val_interval=100000)
param_scheduler = dict(total_steps=max_iters)
train_dataloader = dict(num_workers=2)
default_hooks = dict(logger=dict(interval=20), checkpoint=dict(interval=max_iters))
