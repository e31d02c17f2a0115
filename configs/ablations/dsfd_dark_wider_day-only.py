"""The same detector trained on the light images alone: what day teaches about the dark. Tested as the main config.

Nothing is darkened in training, and without pairs there are no losses of DAI-Net.
"""

_base_ = ['../dsfd_dark_wider.py']

model = dict(_delete_=True, **_base_.model.detector)
train_dataloader = dict(dataset=dict(pipeline=[*_base_.load, *_base_.augment, dict(type='PackDetInputs')]))
