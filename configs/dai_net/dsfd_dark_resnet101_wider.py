"""DAI-Net (arXiv:2312.01220) on DSFD with ResNet-101."""

_base_ = ['./dsfd_dark_resnet50_wider.py']

_weights = dict(checkpoint='weights/resnet101.pth', source='https://download.pytorch.org/models/resnet101-63fe2227.pth')
_xavier, _published = _base_.model.detector.backbone.init_cfg
model = dict(detector=dict(backbone=dict(depth=101, init_cfg=[_xavier, dict(_published, **_weights)])))
