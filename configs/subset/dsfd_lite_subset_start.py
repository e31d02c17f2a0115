"""The lite detector from scratch by day, on 880 images: where all rows of docs/results.md start.

32,000 crops of 256 pixels, 8 in a step: 36 minutes on two CPU cores.
"""

_base_ = ['../ablations/dsfd_dark_wider_lite.py']

input_size = 256
max_iters = 4000

train_cfg = dict(max_iters=max_iters)
param_scheduler = dict(total_steps=max_iters)
optim_wrapper = dict(type='Bfloat16OptimWrapper')
default_hooks = dict(
    checkpoint=dict(interval=500, save_best=None, rule=None), draw_train_panels=None, validation_loss=None
)
val_dataloader = None
val_cfg = None
val_evaluator = None

model = dict(_delete_=True, **_base_.model.detector)
train_dataloader = dict(
    batch_size=8,
    num_workers=1,
    dataset=dict(
        only='{{ fileDirname }}/wider_train_880.txt',
        pipeline=[
            *_base_.load,
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
            dict(type='PackDetInputs'),
        ],
    ),
)
