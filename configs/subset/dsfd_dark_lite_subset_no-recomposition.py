"""Without recomposed images: no second decomposition, no coherence, alignment of the images alone."""

_base_ = ['./dsfd_dark_lite_subset.py']

model = dict(recomposition=None)
