"""YOLOv3 (arXiv:1804.02767) with DarkNet-53 on WIDER FACE by day, tested by day and in the dark."""

_base_ = [
    '../_base_/models/yolov3_darknet53.py',
    '../_base_/datasets/wider_face_dark.py',
    '../_base_/schedules/wider_100e.py',
    '../_base_/default_runtime.py',
]

model = dict(test_cfg=dict(max_per_img=750))

train_pipeline = [*_base_.load, *_base_.augment, dict(type='PackDetInputs')]
train_dataloader = dict(batch_size=8, dataset=dict(pipeline=train_pipeline))
optim_wrapper = dict(optimizer=dict(lr=2.5e-4))
default_hooks = dict(checkpoint=dict(save_best='dark/wider/AP'))
