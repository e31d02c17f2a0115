"""RTMDet-tiny (arXiv:2212.07784) on WIDER FACE by day, tested by day and in the dark.

Mosaic and MixUp from a cache as published; the last fifth of the epochs goes without.
"""

_base_ = [
    '../_base_/datasets/wider_face_dark.py',
    '../_base_/schedules/wider_100e.py',
    '../_base_/default_runtime.py',
]

_side = _base_.input_size
_size = (_side, _side)
_pad = (114, 114, 114)
_norm = dict(type='BN')
_act = dict(type='SiLU', inplace=True)

model = dict(
    type='RTMDet',
    data_preprocessor=dict(
        type='DetDataPreprocessor',
        mean=[103.53, 116.28, 123.675],
        std=[57.375, 57.12, 58.395],
        bgr_to_rgb=False,
        pad_size_divisor=32,
    ),
    backbone=dict(
        type='CSPNeXt',
        arch='P5',
        expand_ratio=0.5,
        deepen_factor=0.167,
        widen_factor=0.375,
        channel_attention=True,
        norm_cfg=_norm,
        act_cfg=_act,
        init_cfg=dict(
            type='Pretrained',
            prefix='backbone.',
            checkpoint='https://download.openmmlab.com/mmdetection/v3.0/rtmdet/cspnext_rsb_pretrain/'
            'cspnext-tiny_imagenet_600e.pth',
        ),
    ),
    neck=dict(
        type='CSPNeXtPAFPN',
        in_channels=[96, 192, 384],
        out_channels=96,
        num_csp_blocks=1,
        expand_ratio=0.5,
        norm_cfg=_norm,
        act_cfg=_act,
    ),
    bbox_head=dict(
        type='RTMDetSepBNHead',
        num_classes=1,
        in_channels=96,
        stacked_convs=2,
        feat_channels=96,
        anchor_generator=dict(type='MlvlPointGenerator', offset=0, strides=[8, 16, 32]),
        bbox_coder=dict(type='DistancePointBBoxCoder'),
        loss_cls=dict(type='QualityFocalLoss', use_sigmoid=True, beta=2.0, loss_weight=1.0),
        loss_bbox=dict(type='GIoULoss', loss_weight=2.0),
        with_objectness=False,
        exp_on_reg=False,
        share_conv=True,
        pred_kernel_size=1,
        norm_cfg=_norm,
        act_cfg=_act,
    ),
    train_cfg=dict(assigner=dict(type='DynamicSoftLabelAssigner', topk=13), allowed_border=-1, pos_weight=-1),
    test_cfg=dict(
        nms_pre=30000, min_bbox_size=0, score_thr=0.001, nms=dict(type='nms', iou_threshold=0.65), max_per_img=750
    ),
)

_single = [
    dict(type='RandomCrop', crop_size=_size),
    dict(type='YOLOXHSVRandomAug'),
    dict(type='RandomFlip', prob=0.5),
    dict(type='Pad', size=_size, pad_val=dict(img=_pad)),
]
train_pipeline = [
    *_base_.load,
    dict(type='CachedMosaic', img_scale=_size, pad_val=114.0, max_cached_images=20, random_pop=False),
    dict(type='RandomResize', scale=(2 * _side, 2 * _side), ratio_range=(0.5, 2.0), keep_ratio=True),
    *_single,
    dict(
        type='CachedMixUp',
        img_scale=_size,
        ratio_range=(1.0, 1.0),
        max_cached_images=10,
        random_pop=False,
        pad_val=_pad,
        prob=0.5,
    ),
    dict(type='PackDetInputs'),
]
last_pipeline = [
    *_base_.load,
    dict(type='RandomResize', scale=_size, ratio_range=(0.5, 2.0), keep_ratio=True),
    *_single,
    dict(type='PackDetInputs'),
]
train_dataloader = dict(batch_size=8, dataset=dict(pipeline=train_pipeline))
optim_wrapper = dict(
    optimizer=dict(_delete_=True, type='AdamW', lr=1e-3, weight_decay=0.05),
    paramwise_cfg=dict(norm_decay_mult=0, bias_decay_mult=0, bypass_duplicate=True),
)
default_hooks = dict(checkpoint=dict(save_best='dark/wider/AP'))
custom_hooks = [
    dict(type='EMAHook', ema_type='ExpMomentumEMA', momentum=0.0002, update_buffers=True, priority=49),
    dict(type='PipelineSwitchHook', switch_epoch=80, switch_pipeline=last_pipeline),
]
