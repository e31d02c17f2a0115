"""Three images of four darkened, once more: another cycle of 1,700 steps from where the first one ended."""

_base_ = ['./dsfd_dark_lite_subset_mixed.py']

max_iters = 1700

load_from = 'work_dirs/dsfd_dark_lite_subset_mixed/iter_1300.pth'
train_cfg = dict(max_iters=max_iters)
param_scheduler = dict(total_steps=max_iters)
default_hooks = dict(checkpoint=dict(interval=max_iters))
