"""WIDER FACE as (light, dark) pairs; validation and test by day and on the same images darkened with a fixed seed."""

_base_ = ['./wider_face.py']

train_pipeline = [
    *_base_.load,
    *_base_.augment,
    dict(type='DarkISP', preset='corrected'),
    dict(type='PackDarkPair'),
]
test_pipeline = [
    dict(type='LoadImageFromFile', _scope_='mmdark'),
    dict(type='DarkISP', preset='corrected', seed=0, keep_light=False),
    dict(type='Resize', scale_factor=1.0, keep_ratio=True),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='PackDetInputs'),
]

tta_pipeline = [*test_pipeline[:2], *_base_.tta_pipeline[1:]]

train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
_day = _base_.val_dataloader.dataset
val_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='LazyConcatDataset',
        pipeline=_base_.test_pipeline,  # of mmdet's inferencers
        datasets=[_day, dict(_day, pipeline=test_pipeline)],
    )
)
test_dataloader = val_dataloader

val_evaluator = dict(
    _delete_=True,
    type='HeadedDatasetsEvaluator',
    dataset_prefixes=['day', 'dark'],
    metrics=[dict(_base_.val_evaluator, prefix='wider')] * 2,
)
test_evaluator = val_evaluator
