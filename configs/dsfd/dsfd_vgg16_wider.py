"""DSFD (arXiv:1810.10220) with VGG-16 on WIDER FACE by day: no part of the dark code is in it."""

_base_ = [
    '../_base_/models/dsfd_vgg16.py',
    '../_base_/datasets/wider_face.py',
    '../_base_/schedules/wider_100e.py',
    '../_base_/default_runtime.py',
]
