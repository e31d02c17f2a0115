"""DSFD (arXiv:1810.10220) with ResNet-101 on WIDER FACE by day."""

_base_ = ['./dsfd_resnet50_wider.py']

_weights = dict(checkpoint='weights/resnet101.pth', source='https://download.pytorch.org/models/resnet101-63fe2227.pth')
_xavier, _published = _base_.model.backbone.init_cfg
model = dict(backbone=dict(depth=101, init_cfg=[_xavier, dict(_published, **_weights)]))
