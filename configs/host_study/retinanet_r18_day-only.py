"""RetinaNet-R18 trained on by day: the row of docs/results.md that sees no darkness."""

_base_ = ['./retinanet_r18_start.py']

max_iters = 150

load_from = 'work_dirs/retinanet_r18_start/iter_600.pth'
train_cfg = dict(max_iters=max_iters)
optim_wrapper = dict(optimizer=dict(lr=3.5e-4))
param_scheduler = dict(max_iters=max_iters, warm_up=20, cool_down=0.5)
