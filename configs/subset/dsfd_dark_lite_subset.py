"""The lite dark detector on 880 images of WIDER FACE: row "DAI-Net" of docs/results.md, which the other rows inherit.

It starts from a detector trained by day (``dsfd_lite_subset_start.py``), takes two epochs of crops of 320 pixels, and
is tested at 640 pixels on 249 images by day and on their dark copies of 8 bits:

    python tools/dataset_converters/darken.py data/wider --out data/wider_dark
"""

_base_ = ['../dsfd_dark_lite_wider.py']

dark_root = 'data/wider_dark/'
input_size = 320
max_iters = 220

load_from = 'work_dirs/dsfd_lite_subset_start/iter_4000.pth'
default_hooks = dict(
    strict_checkpoint=dict(strict=False),  # the start has no reflectance decoder
    draw_train_panels=None,
    validation_loss=None,
    checkpoint=dict(interval=max_iters, save_best=None, rule=None),
    logger=dict(interval=20),
)

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
train_dataloader = dict(
    batch_size=8,
    num_workers=1,
    dataset=dict(
        only='{{ fileDirname }}/wider_train_880.txt',
        pipeline=[
            *_base_.load,
            *augment,
            dict(type='DarkISP', preset='corrected'),
            dict(type='PackDarkPair'),
        ],
    ),
)
test_pipeline = [
    dict(type='LoadImageFromFile', _scope_='mmdark'),
    dict(type='Resize', scale=(640, 640), keep_ratio=True),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='PackDetInputs'),
]
day = dict(
    _base_.val_dataloader.dataset.datasets[0],
    only='{{ fileDirname }}/wider_val_249.txt',
    pipeline=test_pipeline,
)
dark = dict(day, data_root=dark_root)
val_dataloader = dict(num_workers=1, dataset=dict(pipeline=test_pipeline, datasets=[day, dark]))
test_dataloader = val_dataloader

metric = dict(
    type='WiderFaceMetric',
    data_root=_base_.data_root,
    prefix='wider',
    tested_only=True,
    heights=(16, 32, 64, 128),
)
val_evaluator = dict(metrics=[metric, metric])
test_evaluator = val_evaluator

optim_wrapper = dict(type='Bfloat16OptimWrapper', optimizer=dict(lr=5e-4))
train_cfg = dict(max_epochs=2, max_iters=max_iters, val_interval=2)
param_scheduler = dict(eta_max=5e-4, total_steps=max_iters)
