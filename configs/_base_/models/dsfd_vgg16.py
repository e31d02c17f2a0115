"""DSFD with VGG-16 (arXiv:1810.10220), the day detector."""

_strides = [4, 8, 16, 32, 64, 128]
_channels = [256, 512, 512, 1024, 512, 256]


def _shot(sides: tuple[int, ...]) -> dict:
    """One PAL head: a square anchor in the centre of each cell, ``sides`` in pixels."""
    return dict(
        type='PALHead',
        num_classes=1,
        in_channels=_channels,
        anchor_generator=dict(
            type='AnchorGenerator',
            strides=_strides,
            ratios=[1.0],
            scales=[1.0],
            base_sizes=sides,
            centers=[(stride / 2, stride / 2) for stride in _strides],
        ),
        bbox_coder=dict(type='DeltaXYWHBBoxCoder', target_stds=[0.1, 0.1, 0.2, 0.2], clip_border=False),
    )


model = dict(
    type='DSFD',
    data_preprocessor=dict(
        type='DetDataPreprocessor', mean=[0, 0, 0], std=[255, 255, 255], bgr_to_rgb=True, pad_size_divisor=1
    ),
    backbone=dict(
        type='DarkVGG',
        init_cfg=[
            dict(type='Xavier', layer='Conv2d', distribution='uniform', bias=0),
            dict(
                type='PublishedWeights',
                checkpoint='weights/vgg16_reducedfc.pth',
                source='https://s3.amazonaws.com/amdegroot-models/vgg16_reducedfc.pth',
                without='--cfg-options model.backbone.init_cfg=None (in DAI-Net model.detector.backbone.init_cfg=None)',
            ),
        ],
    ),
    neck=dict(type='FEM', in_channels=_channels, l2norm_scales=[10.0, 8.0, 5.0]),
    bbox_head=dict(
        type='DualShotHead',
        first_shot=_shot([8, 16, 32, 64, 128, 256]),
        second_shot=_shot([16, 32, 64, 128, 256, 512]),
    ),
    train_cfg=dict(
        assigner=dict(
            type='MaxIoUAssigner', pos_iou_thr=0.35, neg_iou_thr=0.35, min_pos_iou=0.0, gt_max_assign_all=False
        ),
        smoothl1_beta=1.0,
        neg_pos_ratio=3,
        allowed_border=-1,
        ignored_as_background=False,
    ),
    test_cfg=dict(score_thr=0.05, nms_pre=5000, nms=dict(type='nms', iou_threshold=0.3), max_per_img=750),
)
