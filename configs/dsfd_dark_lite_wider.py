"""A lite dark detector (2.9 M parameters): a quarter of the widths, normalised, trained from scratch in a single cycle.

Nothing has to be downloaded: the backbone starts at random and the teacher needs no weights. The backbone has group
norm because light and dark images go through its stem: batch norm would average the two.
"""

_base_ = ['./dsfd_dark_wider.py']

_channels = [64, 120, 120, 248, 120, 64]
_small = dict(type='Normal', layer='Conv2d', std=0.01)
model = dict(
    detector=dict(
        backbone=dict(widen_factor=0.24, norm_cfg=dict(type='GN', num_groups=8), init_cfg=None),
        neck=dict(in_channels=_channels, norm_cfg=dict(type='BN')),
        bbox_head=dict(
            first_shot=dict(in_channels=_channels, init_cfg=_small),
            second_shot=dict(in_channels=_channels, init_cfg=_small),
        ),
    ),
    enhancer=dict(_delete_=True, type='MaxRGBRetinex'),
    reflectance_decoder=dict(in_channels=16),
)

max_iters = 20000
train_cfg = dict(max_epochs=100000, max_iters=max_iters, val_interval=10)
optim_wrapper = dict(
    optimizer=dict(_delete_=True, type='AdamW', lr=1e-3, betas=(0.9, 0.99), weight_decay=0.05),
    clip_grad=dict(max_norm=1),
    paramwise_cfg=dict(custom_keys={'reflectance_decoder': dict(lr_mult=1.0)}),
)
param_scheduler = dict(
    _delete_=True, type='OneCycleLR', eta_max=1e-3, total_steps=max_iters, pct_start=0.1, by_epoch=False
)
