"""DSFD (arXiv:1810.10220) with ResNet-50, the day detector: other widths, and no L2Norm."""

_base_ = ['./dsfd_vgg16.py']

_channels = [256, 512, 1024, 2048, 512, 256]

model = dict(
    backbone=dict(
        _delete_=True,
        type='DarkResNet',
        depth=50,
        norm_eval=True,
        init_cfg=[
            dict(type='Xavier', layer='Conv2d', distribution='uniform', bias=0),
            dict(
                type='PublishedWeights',
                checkpoint='weights/resnet50.pth',
                source='https://download.pytorch.org/models/resnet50-0676ba61.pth',
                without='--cfg-options model.backbone.init_cfg=None model.backbone.norm_eval=False',
            ),
        ],
    ),
    neck=dict(in_channels=_channels, l2norm_scales=[]),
    bbox_head=dict(first_shot=dict(in_channels=_channels), second_shot=dict(in_channels=_channels)),
)
