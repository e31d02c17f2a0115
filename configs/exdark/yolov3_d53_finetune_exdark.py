"""Supervised fine-tuning of YOLOv3 on the 3,000 training images of ExDark, 12 classes.

    python tools/train.py configs/exdark/yolov3_d53_finetune_exdark.py --cfg-options load_from=CHECKPOINT

The checkpoint is one of ``yolov3_d53_coco_dark.py`` or ``yolov3_d53_coco_day.py``. A dark photograph has no light
partner, so what is trained is the detector alone, without reflectance decoder and teacher; the layers that predict
COCO's 80 classes start anew. The schedule is MAET's (``maet_yolo_exdark.py``): 24 epochs, learning rate 1e-3 for 8
images in a step, decays after epochs 18 and 23.
"""

_base_ = [
    '../_base_/models/yolov3_darknet53.py',
    '../_base_/datasets/exdark.py',
    '../_base_/schedules/yolov3_273e.py',
    '../_base_/default_runtime.py',
]

load_from = 'work_dirs/yolov3_d53_coco_dark/CHECKPOINT.pth'
model = dict(backbone=dict(init_cfg=None), bbox_head=dict(num_classes=12))  # all other weights come from load_from
custom_hooks = [
    dict(
        type='LeaveOutWeights',
        prefixes=['reflectance_decoder.', 'enhancer.'],
        start_anew=['bbox_head.convs_pred.'],
    )
]

optim_wrapper = dict(optimizer=dict(lr=1e-3))
param_scheduler = [_base_.param_scheduler[0], dict(_base_.param_scheduler[1], milestones=[18, 23])]
train_cfg = dict(max_epochs=24, val_interval=1)
default_hooks = dict(
    sqrt_scale_lr=dict(base_batch_size=8),
    checkpoint=dict(interval=1000, save_best='exdark/mAP'),
)
