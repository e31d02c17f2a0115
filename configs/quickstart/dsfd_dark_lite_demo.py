"""The quickstart: the lite dark detector on a demo set of small images, in two minutes on two CPU cores."""

_base_ = ['../dsfd_dark_lite_wider.py']

input_size = 160
max_iters = 260

train_cfg = dict(max_iters=max_iters)
param_scheduler = dict(total_steps=max_iters)
train_dataloader = dict(
    num_workers=1,
    dataset=dict(
        pipeline=[
            *_base_.load,
            dict(type='RandomSquareCrop', min_scale=0.7),
            dict(type='RandomInterpResize', input_size=input_size),
            dict(type='KeepFaces', min_size=6, allow_empty=False),
            dict(type='RandomFlip', prob=0.5),
            dict(type='DarkISP', preset='corrected'),
            dict(type='PackDarkPair'),
        ]
    ),
)
val_dataloader = None
val_cfg = None
val_evaluator = None
test_dataloader = dict(dataset=dict(datasets=[_base_.test_dataloader.dataset.datasets[1]]))
test_evaluator = dict(_delete_=True, type='WiderFaceMetric', ground_truth=None, prefix='dark/wider')
default_hooks = dict(
    logger=dict(interval=20),
    live_progress=dict(plain_interval=20),
    checkpoint=dict(interval=max_iters, save_best=None, rule=None),
    validation_loss=dict(input_size=input_size),
)
