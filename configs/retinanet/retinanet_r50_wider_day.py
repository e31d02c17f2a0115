"""RetinaNet with ResNet-50 on WIDER FACE by day, tested by day and in the dark."""

_base_ = ['./retinanet_r18_wider_day.py']

model = dict(
    backbone=dict(depth=50, init_cfg=dict(checkpoint='https://download.pytorch.org/models/resnet50-0676ba61.pth')),
    neck=dict(in_channels=[256, 512, 1024, 2048]),
)
