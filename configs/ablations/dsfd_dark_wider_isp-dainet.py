"""DarkISP as DAI-Net published it, with its three defects: see the table of switches in docs/paper.md.

Validation and test images stay those of the main config.
"""

_base_ = ['../dsfd_dark_wider.py']

train_dataloader = dict(
    dataset=dict(
        pipeline=[*_base_.load, *_base_.augment, dict(type='DarkISP', preset='dainet'), dict(type='PackDarkPair')]
    )
)
