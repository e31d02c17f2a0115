"""ExDark, photographs in low light with objects of 12 classes, in its official split; nothing is darkened.

    data_root/
    ├── imageclasslist.txt                            3,000 images to train, 1,800 to validate, 2,563 to test
    ├── ExDark/Bicycle/2015_00001.png ...             twelve folders
    └── ExDark_Annno/Bicycle/2015_00001.png.txt ...   likewise

``--cfg-options allow_missing=True`` goes on where only some are there. The augmentation is the one of MAET and
DAI-Net (``maet_yolo_exdark.py``), mmdet's of YOLOv3 without its change of colours.
"""

dataset_type = 'ExDarkDataset'
data_root = 'data/exdark/'
allow_missing = False
input_size = 608

load = [dict(type='LoadPhoto'), dict(type='LoadAnnotations', with_bbox=True), dict(type='KeepFaces', clip=True)]
augment = [
    dict(type='Expand', mean=[0, 0, 0], to_rgb=True, ratio_range=(1, 2)),
    dict(type='MinIoURandomCrop', min_ious=(0.4, 0.5, 0.6, 0.7, 0.8, 0.9), min_crop_size=0.3),
    # The longer side is between 320 and 608 pixels, or in that ratio to another input_size.
    dict(type='RandomResize', scale=[(input_size * 10 // 19,) * 2, (input_size, input_size)], keep_ratio=True),
    dict(type='RandomFlip', prob=0.5),
    dict(type='KeepFaces', allow_empty=False),
]
train_pipeline = [*load, *augment, dict(type='PackDetInputs')]
test_pipeline = [
    dict(type='LoadImageFromFile', _scope_='mmdark'),
    dict(type='Resize', scale=(input_size, input_size), keep_ratio=True),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(
        type='PackDetInputs',
        meta_keys=('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor', 'instances', 'light', 'place'),
    ),
]

train_dataloader = dict(
    batch_size=8,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='ResumableSampler', shuffle=True),
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        split='train',
        allow_missing=allow_missing,
        filter_cfg=dict(filter_empty_gt=True),
        pipeline=train_pipeline,
    ),
)
val_dataloader = dict(
    batch_size=1,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        split='val',
        allow_missing=allow_missing,
        test_mode=True,
        pipeline=test_pipeline,
    ),
)
test_dataloader = dict(val_dataloader, dataset=dict(val_dataloader['dataset'], split='test'))

# AP at IoU 0.5 of each class, as the papers report it, and COCO's beside it.
val_evaluator = [
    dict(type='ExDarkMetric', prefix='exdark', group_by=('light', 'place')),
    dict(type='CocoFaceMetric', metric='bbox', prefix='coco'),
]
test_evaluator = val_evaluator
