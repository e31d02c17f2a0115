"""Day images alone; in the dark it is also tested on images brightened before detection, by gamma and by CLAHE."""

_base_ = ['./dsfd_dark_lite_subset.py']

model = dict(_delete_=True, **_base_.model.detector)
train_dataloader = dict(dataset=dict(pipeline=[*_base_.load, *_base_.augment, dict(type='PackDetInputs')]))

gamma, clahe = (
    dict(
        _base_.dark,
        pipeline=[_base_.test_pipeline[0], dict(type='Brighten', method=method), *_base_.test_pipeline[1:]],
    )
    for method in ('gamma', 'clahe')
)
val_dataloader = dict(dataset=dict(datasets=[_base_.day, _base_.dark, gamma, clahe]))
test_dataloader = val_dataloader
val_evaluator = dict(dataset_prefixes=['day', 'dark', 'gamma', 'clahe'], metrics=[_base_.metric] * 4)
test_evaluator = val_evaluator
