"""DarkISP as augmentation only: every training image is darkened, and there are no losses of DAI-Net.

No light images are mixed in: the detector of the main config, too, learns on the dark image of each pair alone.
"""

_base_ = ['./dsfd_dark_wider_day-only.py']

train_dataloader = dict(
    dataset=dict(
        pipeline=[
            *_base_.load,
            *_base_.augment,
            dict(type='DarkISP', preset='corrected', keep_light=False),
            dict(type='PackDetInputs'),
        ]
    )
)
