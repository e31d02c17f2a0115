"""Without interchange: each image is recomposed with its own reflectance, then aligned and decoded again as ever.

Does the second decomposition help by itself, or because light and dark images swap their reflectances?
"""

_base_ = ['../dsfd_dark_wider.py']

model = dict(recomposition='own')
