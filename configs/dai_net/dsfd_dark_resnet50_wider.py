"""DAI-Net (arXiv:2312.01220) on DSFD with ResNet-50, which the published code does not have.

Shallow features are those of the ResNet's first convolution: 64 channels of stride 2, as VGG-16's after pool1.
"""

_base_ = ['../dsfd_dark_wider.py']

_channels = [256, 512, 1024, 2048, 512, 256]
_xavier, _published = _base_.model.detector.backbone.init_cfg
_weights = dict(
    checkpoint='weights/resnet50.pth',
    source='https://download.pytorch.org/models/resnet50-0676ba61.pth',
    without='--cfg-options model.detector.backbone.init_cfg=None model.detector.backbone.norm_eval=False',
)

model = dict(
    detector=dict(
        backbone=dict(
            _delete_=True, type='DarkResNet', depth=50, norm_eval=True, init_cfg=[_xavier, dict(_published, **_weights)]
        ),
        neck=dict(in_channels=_channels, l2norm_scales=[]),
        bbox_head=dict(first_shot=dict(in_channels=_channels), second_shot=dict(in_channels=_channels)),
    ),
)
