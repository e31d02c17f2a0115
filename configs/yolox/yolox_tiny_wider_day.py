"""YOLOX-tiny on WIDER FACE by day, tested by day and in the dark: YOLOX-s, thinner, and without MixUp as published."""

_base_ = ['./yolox_s_wider_day.py']

_side = _base_.input_size

model = dict(
    data_preprocessor=dict(
        batch_augments=[dict(type='BatchSyncRandomResize', random_size_range=(320, 640), size_divisor=32, interval=10)]
    ),
    backbone=dict(widen_factor=0.375),
    neck=dict(in_channels=[96, 192, 384], out_channels=96),
    bbox_head=dict(in_channels=96, feat_channels=96),
)
train_pipeline = [
    _base_.mosaic,
    dict(type='RandomAffine', scaling_ratio_range=(0.5, 1.5), border=(-_side // 2, -_side // 2)),
    *_base_.single,
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
