"""The small detector with the head of GFL by day, from ImageNet weights: where its rows in docs/results.md start.

Nothing of the backbone is frozen, so that DAI-Net can teach its first layer.
"""

_base_ = ['../gfl/gfl_dark_mobilenetv2_wider.py']

max_iters = 1000

model = dict(backbone=dict(frozen_stages=-1))
train_dataloader = dict(dataset=dict(pipeline=[*_base_.load, *_base_.augment, dict(type='PackDetInputs')]))
metric = dict(
    type='WiderFaceMetric', data_root=_base_.data_root, prefix='wider', heights=(32, 64), attributes=['illumination']
)
test_evaluator = dict(metrics=[metric, metric])

train_cfg = dict(max_iters=max_iters)
param_scheduler = dict(max_iters=max_iters, warm_up=100, cool_down=0.3)
default_hooks = dict(checkpoint=dict(interval=500, max_keep_ckpts=1))
