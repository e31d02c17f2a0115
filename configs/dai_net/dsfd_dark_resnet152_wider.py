"""DAI-Net (arXiv:2312.01220) on DSFD with ResNet-152."""

_base_ = ['./dsfd_dark_resnet50_wider.py']

_weights = dict(checkpoint='weights/resnet152.pth', source='https://download.pytorch.org/models/resnet152-394f9c45.pth')
_xavier, _published = _base_.model.detector.backbone.init_cfg
model = dict(detector=dict(backbone=dict(depth=152, init_cfg=[_xavier, dict(_published, **_weights)])))
