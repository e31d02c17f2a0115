"""DARK FACE, photographs of streets at night, with the augmentation of DSFD and DAI-Net; nothing is darkened.

The 6,000 labelled images in our fixed split: 5,500 for training, 500 for validation and test
(``configs/dark_face/dark_face_val.txt``). ``--cfg-options allow_missing=True`` goes on where only some are there.
"""

_base_ = ['./wider_face.py']

dataset_type = 'DarkFaceDataset'
data_root = 'data/dark_face/'
allow_missing = False

train_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type=dataset_type,
        data_root=data_root,
        split='train',
        allow_missing=allow_missing,
        filter_cfg=dict(filter_empty_gt=True),
        pipeline=_base_.train_pipeline,
    ),
)
val_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type=dataset_type,
        data_root=data_root,
        split='val',
        allow_missing=allow_missing,
        test_mode=True,
        pipeline=_base_.test_pipeline,
    ),
)
test_dataloader = val_dataloader

# The official protocol, and exact all-points AP beside it.
val_evaluator = dict(_delete_=True, type='DarkFaceMetric', prefix='dark_face')
test_evaluator = val_evaluator
