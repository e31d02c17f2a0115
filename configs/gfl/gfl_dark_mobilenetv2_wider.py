"""A small and fast face detector for day and night: MobileNetV2, PAFPN and the GFL head (arXiv:2006.04388).

2.2 M parameters; 7.5 GFLOP at 640 x 640. Two images of three are darkened as they are loaded. The learning rate is
constant from the warm-up to the last fifth, and the checkpoints hold the moving average of the weights. So a training
is useful at any iteration, and ends at another one, N, with ``--resume --cfg-options max_iters=N``.

The backbone starts from torchvision's ImageNet weights, which are BSD-3-Clause like torchvision.
"""

_base_ = [
    '../_base_/datasets/wider_face_dark.py',
    '../_base_/schedules/wider_100e.py',
    '../_base_/default_runtime.py',
]

input_size = 320
max_iters = 100000
strides = [8, 16, 32, 64]

model = dict(
    type='GFL',
    data_preprocessor=dict(type='LogPreprocessor', bgr_to_rgb=True),
    backbone=dict(
        type='FoldedMobileNetV2',
        out_indices=(2, 4, 6),
        frozen_stages=2,  # up to stride 4, where half of the time of a step would go
        init_cfg=[
            dict(type='Kaiming', layer='Conv2d'),
            dict(
                type='PublishedWeights',
                checkpoint='weights/mobilenet_v2-b0353104.pth',
                source='https://download.pytorch.org/models/mobilenet_v2-b0353104.pth',
                without='--cfg-options model.backbone.init_cfg=None model.backbone.frozen_stages=-1',
            ),
        ],
    ),
    neck=dict(
        type='PAFPN',
        in_channels=[32, 96, 320],
        out_channels=64,
        num_outs=len(strides),
        add_extra_convs='on_output',
        act_cfg=dict(type='ReLU'),
    ),
    bbox_head=dict(
        type='GFLHead',
        num_classes=1,
        in_channels=64,
        feat_channels=48,
        stacked_convs=2,
        norm_cfg=dict(type='GN', num_groups=16),
        reg_max=8,
        anchor_generator=dict(
            type='AnchorGenerator', ratios=[1.0], octave_base_scale=4, scales_per_octave=1, strides=strides
        ),
        loss_cls=dict(type='QualityFocalLoss', use_sigmoid=True, beta=2.0, loss_weight=1.0),
        loss_dfl=dict(type='DistributionFocalLoss', loss_weight=0.25),
        loss_bbox=dict(type='DIoULoss', loss_weight=2.0),
    ),
    train_cfg=dict(assigner=dict(type='ATSSAssigner', topk=9), allowed_border=-1, pos_weight=-1),
    test_cfg=dict(nms_pre=2000, score_thr=0.02, nms=dict(type='nms', iou_threshold=0.45), max_per_img=750),
)

augment = [
    dict(
        type='RandomChoice',
        prob=[0.5, 0.5],
        transforms=[
            [dict(type='DataAnchorSampling', input_size=input_size, anchors=(16, 32, 64, 128, 256))],
            [
                dict(type='RandomSquareCrop'),
                dict(type='RandomInterpResize', input_size=input_size),
                dict(type='KeepFaces', min_size=6, allow_empty=False),
            ],
        ],
    ),
    dict(type='RandomFlip', prob=0.5),
    dict(type='ColorDistortion'),
]
darkness = dict(
    type='RandomChoice',
    prob=[0.35, 0.45, 0.2],
    transforms=[
        [],
        [dict(type='DarkISP', preset='corrected', keep_light=False)],
        [dict(type='DarkISP', preset='maet', keep_light=False)],  # from the dark to almost the day
    ],
)
train_dataloader = dict(
    batch_size=16,
    num_workers=1,
    dataset=dict(pipeline=[*_base_.load, *augment, darkness, dict(type='PackDetInputs')]),
)
tta_by_default = True  # of mmdark detect
tta_model = dict(merge='nms', iou_threshold=0.45)
tta_pipeline = [*_base_.tta_pipeline[:-1], dict(_base_.tta_pipeline[-1], preset='two-scales')]
val_dataloader = None
val_cfg = None
val_evaluator = None

train_cfg = dict(max_epochs=100000, max_iters=max_iters)
optim_wrapper = dict(
    optimizer=dict(_delete_=True, type='AdamW', lr=7.5e-4, weight_decay=0.05),
    paramwise_cfg=dict(norm_decay_mult=0.0, bias_decay_mult=0.0, custom_keys={'backbone': dict(lr_mult=0.25)}),
)
param_scheduler = dict(_delete_=True, type='TrapezoidLR', max_iters=max_iters, warm_up=200, cool_down=0.2)

custom_hooks = [dict(type='EMAHook', ema_type='ExpMomentumEMA', momentum=0.001, gamma=200)]
default_hooks = dict(
    checkpoint=dict(interval=250, max_keep_ckpts=3, save_best=None, rule=None),
    channels_last=dict(type='ChannelsLast'),
    logger=dict(interval=50),
)
