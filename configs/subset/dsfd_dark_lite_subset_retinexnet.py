"""The teacher is the trained RetinexNet that comes with mmdark, as in the paper, instead of one without weights."""

_base_ = ['./dsfd_dark_lite_subset.py']

model = dict(
    enhancer=dict(
        type='RetinexNet',
        init_cfg=dict(
            type='PublishedWeights',
            checkpoint='mmdark://retinexnet_wider.pth',
            source='mmdark itself',
            without='the row dsfd_dark_lite_subset.py, which needs no weights',
        ),
    ),
)
