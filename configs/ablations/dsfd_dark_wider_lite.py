"""The lite detector as it is: a quarter of the widths, with norm, a teacher without weights, a schedule of its own."""

_base_ = ['../dsfd_dark_lite_wider.py']
