"""DarkISP as MAET published it: ``dainet`` with up to ten times the light.

Validation and test images stay those of the main config.
"""

_base_ = ['../dsfd_dark_wider.py']

train_dataloader = dict(
    dataset=dict(
        pipeline=[*_base_.load, *_base_.augment, dict(type='DarkISP', preset='maet'), dict(type='PackDarkPair')]
    )
)
