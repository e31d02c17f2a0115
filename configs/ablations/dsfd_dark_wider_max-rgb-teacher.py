"""A teacher without weights: how much of DAI-Net needs the trained RetinexNet?"""

_base_ = ['../dsfd_dark_wider.py']

model = dict(enhancer=dict(_delete_=True, type='MaxRGBRetinex'))
