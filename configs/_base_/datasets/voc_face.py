"""Faces in the VOC format as (light, dark) pairs, through mmdet's XMLDataset; tested by day and in fixed darkness.

    data_root/
    ├── Annotations/a.xml
    ├── ImageSets/Main/train.txt, ImageSets/Main/val.txt    names without suffix
    └── JPEGImages/a.jpg                                    XMLDataset reads .jpg alone

Objects must be called ``face``; for another name set ``classes`` in ``metainfo``. ``difficult`` objects
are ignored, in training and in evaluation. What is wrong with a file ends the run with a line.
"""

_base_ = ['./wider_face.py']

dataset_type = 'CheckedVocDataset'
data_root = 'data/voc_face/'
metainfo = dict(classes=('face',), palette=[(0, 255, 0)])

_darkness = dict(type='DarkISP', preset='corrected', seed=0, keep_light=False)
train_pipeline = [
    *_base_.load,
    *_base_.augment,
    dict(type='DarkISP', preset='corrected'),
    dict(type='PackDarkPair'),
]
test_pipeline = _base_.test_pipeline

train_dataloader = dict(
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        ann_file='ImageSets/Main/train.txt',
        data_prefix=dict(_delete_=True, sub_data_root=''),
        metainfo=metainfo,
        pipeline=train_pipeline,
    )
)
_day = dict(
    type=dataset_type,
    data_root=data_root,
    ann_file='ImageSets/Main/val.txt',
    data_prefix=dict(sub_data_root=''),
    metainfo=metainfo,
    test_mode=True,
    pipeline=test_pipeline,
)
_dark = dict(_day, pipeline=[test_pipeline[0], _darkness, *test_pipeline[1:]])
val_dataloader = dict(
    dataset=dict(_delete_=True, type='LazyConcatDataset', pipeline=test_pipeline, datasets=[_day, _dark])
)
test_dataloader = val_dataloader

# Exact all-points AP at IoU 0.5.
val_evaluator = dict(
    _delete_=True,
    type='HeadedDatasetsEvaluator',
    dataset_prefixes=['day', 'dark'],
    metrics=[dict(type='VOCMetric', metric='mAP', iou_thrs=0.5, eval_mode='area', prefix='voc')] * 2,
)
test_evaluator = val_evaluator
