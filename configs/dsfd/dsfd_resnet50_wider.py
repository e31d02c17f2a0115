"""DSFD (arXiv:1810.10220) with ResNet-50 on WIDER FACE by day."""

_base_ = [
    '../_base_/models/dsfd_resnet50.py',
    '../_base_/datasets/wider_face.py',
    '../_base_/schedules/wider_100e.py',
    '../_base_/default_runtime.py',
]
