"""A lite dark detector (3 M parameters): a quarter of the widths, batch norm, trained from scratch in a single cycle.

Nothing has to be downloaded: the backbone starts at random and the teacher needs no weights. Validation and test are by
day and in the dark.
"""

_base_ = ['./dsfd_dark_wider.py']

_channels = [64, 128, 128, 256, 128, 64]
_norm = dict(type='BN')
model = dict(
    backbone=dict(widen_factor=0.25, norm_cfg=_norm, init_cfg=None),
    neck=dict(in_channels=_channels, norm_cfg=_norm),
    bbox_head=dict(first_shot=dict(in_channels=_channels), second_shot=dict(in_channels=_channels)),
    enhancer=dict(_delete_=True, type='MaxRGBRetinex'),
    reflectance_decoder=dict(in_channels=16),
)

max_iters = 20000
train_cfg = dict(max_epochs=100000, max_iters=max_iters, val_interval=10)
optim_wrapper = dict(optimizer=dict(_delete_=True, type='AdamW', lr=2e-3, weight_decay=0.05))
param_scheduler = dict(
    _delete_=True, type='OneCycleLR', eta_max=2e-3, total_steps=max_iters, pct_start=0.2, by_epoch=False
)

_day = dict(
    _base_.val_dataloader.dataset,
    pipeline=[step for step in _base_.val_dataloader.dataset.pipeline if step['type'] != 'DarkISP'],
)
val_dataloader = dict(dataset=dict(_delete_=True, type='ConcatDataset', datasets=[_day, _base_.val_dataloader.dataset]))
test_dataloader = val_dataloader
val_evaluator = dict(
    _delete_=True,
    type='MultiDatasetsEvaluator',
    dataset_prefixes=['day', 'dark'],
    metrics=[dict(type='VOCMetric', metric='mAP', iou_thrs=0.5, eval_mode='area', prefix='face')] * 2,
)
test_evaluator = val_evaluator
default_hooks = dict(checkpoint=dict(save_best='dark/face/mAP'))
