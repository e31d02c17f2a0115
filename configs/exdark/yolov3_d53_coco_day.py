"""YOLOv3 (arXiv:1804.02767) with DarkNet-53 trained on COCO by day, tested on ExDark, which it has never seen.

    python tools/test.py configs/exdark/yolov3_d53_coco_day.py CHECKPOINT

Any checkpoint of mmdet's ``yolov3_d53_8xb8-ms-608-273e_coco.py`` will do, too.
"""

_base_ = [
    '../_base_/models/yolov3_darknet53.py',
    '../_base_/datasets/coco_exdark.py',
    '../_base_/schedules/yolov3_273e.py',
    '../_base_/default_runtime.py',
]

model = dict(bbox_head=dict(num_classes=80))

default_hooks = dict(
    sqrt_scale_lr=dict(base_batch_size=32),
    checkpoint=dict(save_best='dark/coco/bbox_mAP_50'),
)
