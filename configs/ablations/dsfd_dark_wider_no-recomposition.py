"""Without recomposed images: no interchange, no second decomposition, no coherence, alignment of the images alone."""

_base_ = ['../dsfd_dark_wider.py']

model = dict(recomposition=None)
