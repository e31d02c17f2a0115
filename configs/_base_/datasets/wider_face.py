"""WIDER FACE with the augmentation of DSFD and DAI-Net; light images only."""

_base_ = ['../multi_scale_test.py']

dataset_type = 'WiderDataset'
data_root = 'data/wider/'
input_size = 640

load = [dict(type='LoadPhoto'), dict(type='LoadAnnotations', with_bbox=True), dict(type='KeepFaces')]
augment = [
    dict(type='ColorDistortion'),
    dict(
        type='RandomChoice',
        prob=[0.5, 0.5],
        transforms=[
            [dict(type='DataAnchorSampling', input_size=input_size)],
            [
                dict(type='RandomSquareCrop'),
                dict(type='RandomInterpResize', input_size=input_size),
                dict(type='KeepFaces', min_size=6, allow_empty=False),
            ],
        ],
    ),
    dict(type='RandomFlip', prob=0.5),
]
train_pipeline = [*load, *augment, dict(type='PackDetInputs')]
test_pipeline = [
    dict(type='LoadImageFromFile', _scope_='mmdark'),  # LoadPhoto, by the name that mmdet's DetInferencer looks for
    dict(type='Resize', scale_factor=1.0, keep_ratio=True),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='PackDetInputs'),
]

train_dataloader = dict(
    batch_size=4,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='ResumableSampler', shuffle=True),
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        ann_file='wider_face_split/wider_face_train_bbx_gt.txt',
        data_prefix=dict(img='WIDER_train/images'),
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
        ann_file='wider_face_split/wider_face_val_bbx_gt.txt',
        data_prefix=dict(img='WIDER_val/images'),
        test_mode=True,
        pipeline=test_pipeline,
    ),
)
test_dataloader = val_dataloader

# Official AP (easy, medium, hard) where the ground truth is in data_root; exact AP over all annotated faces always.
val_evaluator = dict(type='WiderFaceMetric', data_root=data_root, prefix='day/wider')
test_evaluator = val_evaluator
