"""RTMDet-tiny by day at 256 pixels, from random weights: where the rows of its table in docs/results.md start.

Tested by day and in the dark with a longest side of 640 pixels.
"""

_base_ = ['../rtmdet/rtmdet_tiny_wider_day.py']

input_size = 256
max_iters = 1500

augment = [
    dict(type='ColorDistortion'),
    dict(
        type='RandomChoice',
        prob=[0.5, 0.5],
        transforms=[
            [dict(type='DataAnchorSampling', input_size=input_size)],
            [
                dict(type='RandomSquareCrop'),
                dict(type='RandomInterpResize', input_size=input_size),
                dict(type='KeepFaces', min_size=6, allow_empty=False),
            ],
        ],
    ),
    dict(type='RandomFlip', prob=0.5),
]
model = dict(backbone=dict(init_cfg=None))
custom_hooks = []

train_dataloader = dict(
    batch_size=8,
    num_workers=1,
    dataset=dict(pipeline=[*_base_.load, *augment, dict(type='PackDetInputs')]),
)
test_pipeline = [
    _base_.test_pipeline[0],
    dict(type='Resize', scale=(640, 640), keep_ratio=True),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='PackDetInputs', meta_keys=('img_path', 'img_shape', 'ori_shape', 'scale_factor', 'instances')),
]
day = dict(_base_.val_dataloader.dataset.datasets[0], pipeline=test_pipeline)
dark = dict(
    day,
    pipeline=[test_pipeline[0], dict(type='DarkISP', preset='corrected', seed=0, keep_light=False), *test_pipeline[1:]],
)
test_dataloader = dict(dataset=dict(pipeline=test_pipeline, datasets=[day, dark]))
metric = dict(
    type='WiderFaceMetric', data_root=_base_.data_root, prefix='wider', heights=(32, 64), attributes=['illumination']
)
test_evaluator = dict(metrics=[metric, metric])
val_dataloader = None
val_cfg = None
val_evaluator = None

train_cfg = dict(max_epochs=1000, max_iters=max_iters)
optim_wrapper = dict(
    optimizer=dict(_delete_=True, type='AdamW', lr=7e-4, weight_decay=0.05),
)
param_scheduler = dict(_delete_=True, type='TrapezoidLR', max_iters=max_iters, warm_up=100, cool_down=0.3)
default_hooks = dict(
    checkpoint=dict(interval=500, max_keep_ckpts=1, save_best=None, rule=None),
    channels_last=dict(type='ChannelsLast'),
    logger=dict(interval=20),
)
