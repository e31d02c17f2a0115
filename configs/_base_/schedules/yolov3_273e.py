"""The schedule with which MAET and DAI-Net train YOLOv3 on COCO (``maet_yolo_coco_ort.py``): 273 epochs.

The learning rate 5e-4 is meant for 4 GPUs with 8 images each, as MAET's README has it; for another number of images in
a step ``default_hooks.sqrt_scale_lr`` multiplies it by sqrt(images / 32). It rises from a tenth in 2,000 iterations.
"""

train_cfg = dict(type='ResumableEpochLoop', max_epochs=273, max_iters=None, val_interval=3)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')

optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='SGD', lr=5e-4, momentum=0.9, weight_decay=5e-4),
    clip_grad=dict(max_norm=35),
)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, by_epoch=False, begin=0, end=2000),
    dict(type='MultiStepLR', by_epoch=True, milestones=[216, 246], gamma=0.1),
]
