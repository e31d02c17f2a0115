"""The main detector, which has never seen a dark photograph, tested on the 500 validation images of DARK FACE.

    python tools/test.py configs/dark_face/dsfd_dark_zero-shot_dark-face.py CHECKPOINT

The checkpoint is one of ``configs/dsfd_dark_wider.py``, or a published one that went through the converter. Only the
test differs from that config. Validation stays on darkened WIDER FACE: a checkpoint chosen on DARK FACE would be no
zero-shot. ``data_root`` is DARK FACE here, for the test alone.
"""

_base_ = ['../dsfd_dark_wider.py']

data_root = 'data/dark_face/'
allow_missing = False

# What is dark already is not darkened.
test_pipeline = [step for step in _base_.test_pipeline if step['type'] != 'DarkISP']
tta_pipeline = [step for step in _base_.tta_pipeline if step['type'] != 'DarkISP']

train_dataloader = dict(dataset=dict(data_root='data/wider/'))
val_dataloader = dict(
    dataset=dict(datasets=[dict(part, data_root='data/wider/') for part in _base_.val_dataloader.dataset.datasets])
)
val_evaluator = dict(metrics=[dict(metric, data_root='data/wider/') for metric in _base_.val_evaluator.metrics])

test_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='DarkFaceDataset',
        data_root=data_root,
        split='val',
        allow_missing=allow_missing,
        test_mode=True,
        pipeline=test_pipeline,
    ),
)
test_evaluator = dict(_delete_=True, type='DarkFaceMetric', prefix='dark_face')
