"""The small detector trained on by day: the row of docs/results.md that sees no darkness."""

_base_ = ['./gfl_mobilenetv2_start.py']

max_iters = 200

load_from = 'work_dirs/gfl_mobilenetv2_start/iter_1000.pth'
train_cfg = dict(max_iters=max_iters)
optim_wrapper = dict(optimizer=dict(lr=7.5e-4))
param_scheduler = dict(max_iters=max_iters, warm_up=20, cool_down=0.5)
