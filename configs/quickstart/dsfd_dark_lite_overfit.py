"""Proof that the whole path can learn: the lite dark model on eight real WIDER images, tested on the same eight.

They are the first eight whose faces are all at least 48 px, stretched to 320 px; by day, and darkened as no training
step has darkened them. An AP far below 1 by day or in the dark means that something is broken.
"""

_base_ = ['../dsfd_dark_lite_wider.py']

ann_file = 'wider_face_split/wider_face_train_bbx_gt.txt'
max_iters = 300
train_cfg = dict(max_iters=max_iters, val_interval=100000)
param_scheduler = dict(total_steps=max_iters)

_resize = dict(type='Resize', scale=(320, 320), keep_ratio=False)
_annotations = dict(type='LoadAnnotations', with_bbox=True)
_eight = dict(indices=8, test_mode=False, filter_cfg=dict(filter_empty_gt=True, min_face=48))
_load = dict(type='LoadImageFromFile', _scope_='mmdark')
_train = _base_.train_dataloader.dataset
_darken = dict(type='DarkISP', preset='corrected')

train_dataloader = dict(
    num_workers=1,
    dataset=dict(
        **_eight,
        pipeline=[
            dict(type='LoadPhoto'),
            _annotations,
            _resize,
            dict(type='RandomFlip', prob=0.5),
            _darken,
            dict(type='PackDarkPair'),
        ],
    ),
)
val_dataloader = dict(
    num_workers=1,
    dataset=dict(
        pipeline=[_load, _resize, _annotations, dict(type='PackDetInputs')],
        datasets=[
            dict(_train, **_eight, pipeline=[_load, *dark, _resize, _annotations, dict(type='PackDetInputs')])
            for dark in ([], [dict(_darken, seed=0, keep_light=False)])
        ],
    ),
)
test_dataloader = val_dataloader
default_hooks = dict(
    logger=dict(interval=20), checkpoint=dict(interval=max_iters), validation_loss=dict(input_size=320)
)
