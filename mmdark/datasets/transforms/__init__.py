"""Transforms: load photographs, augment them for faces of all sizes."""

from mmdark.datasets.transforms.brighten import Brighten
from mmdark.datasets.transforms.color_distortion import ColorDistortion
from mmdark.datasets.transforms.dark_isp import DarkISP
from mmdark.datasets.transforms.data_anchor_sampling import DataAnchorSampling
from mmdark.datasets.transforms.keep_faces import KeepFaces
from mmdark.datasets.transforms.load_image import LoadPhoto
from mmdark.datasets.transforms.multi_scale_views import MultiScaleViews
from mmdark.datasets.transforms.pack_dark_pair import PackDarkPair
from mmdark.datasets.transforms.random_interp_resize import RandomInterpResize
from mmdark.datasets.transforms.square_crop import RandomSquareCrop

__all__ = [
    'Brighten',
    'ColorDistortion',
    'DarkISP',
    'DataAnchorSampling',
    'KeepFaces',
    'LoadPhoto',
    'MultiScaleViews',
    'PackDarkPair',
    'RandomInterpResize',
    'RandomSquareCrop',
]
