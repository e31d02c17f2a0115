"""COCO 2017 by day to train on, ExDark to test on: the zero-shot experiment of the paper with its augmentation.

    data/coco/annotations/instances_train2017.json, instances_val2017.json
    data/coco/train2017/, val2017/

Validation is on COCO by day and on the same images darkened with a fixed seed: a checkpoint chosen on ExDark would be
no zero-shot. The test is on ExDark's 2,563 images, whose objects have the labels of COCO's classes for it.
``data_root`` is ExDark, ``coco_root`` is COCO.
"""

_base_ = ['./exdark.py']

coco_root = 'data/coco/'

_darkness = dict(type='DarkISP', preset='corrected', seed=0, keep_light=False)
_test = _base_.test_pipeline
_pack = dict(_test[-1], meta_keys=('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor', 'instances'))
coco_pipeline = [*_test[:-1], _pack]

train_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='CheckedCocoDataset',
        data_root=coco_root,
        ann_file='annotations/instances_train2017.json',
        data_prefix=dict(img='train2017'),
        filter_cfg=dict(filter_empty_gt=True, min_size=32),
        pipeline=_base_.train_pipeline,
    )
)
_day = dict(
    type='CheckedCocoDataset',
    data_root=coco_root,
    ann_file='annotations/instances_val2017.json',
    data_prefix=dict(img='val2017'),
    test_mode=True,
    pipeline=coco_pipeline,
)
_dark = dict(_day, pipeline=[coco_pipeline[0], _darkness, *coco_pipeline[1:]])
val_dataloader = dict(
    dataset=dict(_delete_=True, type='LazyConcatDataset', pipeline=coco_pipeline, datasets=[_day, _dark])
)
test_dataloader = dict(dataset=dict(coco_classes=True))

val_evaluator = dict(
    _delete_=True,
    type='HeadedDatasetsEvaluator',
    dataset_prefixes=['day', 'dark'],
    metrics=[dict(type='CocoFaceMetric', metric='bbox', prefix='coco')] * 2,
)
