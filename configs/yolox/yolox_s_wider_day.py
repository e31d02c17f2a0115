"""YOLOX-s (arXiv:2107.08430) on WIDER FACE by day, tested by day and in the dark.

Mosaic and MixUp as published; the last 15 epochs go without, and with the L1 loss on top.
"""

_base_ = [
    '../_base_/datasets/wider_face_dark.py',
    '../_base_/schedules/wider_100e.py',
    '../_base_/default_runtime.py',
]

_side = _base_.input_size
_pad = 114.0

model = dict(
    type='YOLOX',
    data_preprocessor=dict(
        type='DetDataPreprocessor',
        pad_size_divisor=32,
        batch_augments=[dict(type='BatchSyncRandomResize', random_size_range=(480, 800), size_divisor=32, interval=10)],
    ),
    backbone=dict(type='CSPDarknet', deepen_factor=0.33, widen_factor=0.5, out_indices=(2, 3, 4)),
    neck=dict(type='YOLOXPAFPN', in_channels=[128, 256, 512], out_channels=128, num_csp_blocks=1),
    bbox_head=dict(type='YOLOXHead', num_classes=1, in_channels=128, feat_channels=128),
    train_cfg=dict(assigner=dict(type='SimOTAAssigner', center_radius=2.5)),
    test_cfg=dict(score_thr=0.01, nms=dict(type='nms', iou_threshold=0.65), max_per_img=750),
)

mosaic = dict(type='Mosaic', img_scale=(_side, _side), pad_val=_pad)
single = [
    dict(type='YOLOXHSVRandomAug'),
    dict(type='RandomFlip', prob=0.5),
    dict(type='Resize', scale=(_side, _side), keep_ratio=True),  # with the padding for the epochs without Mosaic
    dict(type='Pad', pad_to_square=True, pad_val=dict(img=(_pad, _pad, _pad))),
    dict(type='FilterAnnotations', min_gt_bbox_wh=(1, 1), keep_empty=False),
    dict(type='PackDetInputs'),
]
train_pipeline = [
    mosaic,
    dict(type='RandomAffine', scaling_ratio_range=(0.1, 2), border=(-_side // 2, -_side // 2)),
    dict(type='MixUp', img_scale=(_side, _side), ratio_range=(0.8, 1.6), pad_val=_pad),
    *single,
]
train_dataloader = dict(
    batch_size=8,
    dataset=dict(
        _delete_=True,
        type='MultiImageMixDataset',
        dataset={**_base_.train_dataloader.dataset, 'pipeline': _base_.load},
        pipeline=train_pipeline,
    ),
)
optim_wrapper = dict(optimizer=dict(lr=5e-3, nesterov=True))
default_hooks = dict(checkpoint=dict(save_best='dark/wider/AP'))
custom_hooks = [
    dict(type='YOLOXModeSwitchHook', num_last_epochs=15, priority=48),
    dict(type='EMAHook', ema_type='ExpMomentumEMA', momentum=0.0001, update_buffers=True, priority=49),
]
