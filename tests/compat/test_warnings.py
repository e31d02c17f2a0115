"""What the packages below warn of, and no user can mend, is not printed."""

from __future__ import annotations

import importlib
import warnings

import pytest
import torch
from mmdet.models.dense_heads import AnchorHead
from mmdet.models.layers import ChannelAttention

import mmdark.compat


def test_an_old_name_of_autocast_is_no_news() -> None:
    attention = ChannelAttention(4)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter('always')
        attention(torch.ones(1, 4, 2, 2))
        before = len(said)
        importlib.reload(mmdark.compat)
        attention(torch.ones(1, 4, 2, 2))
    if not before:
        pytest.skip('this mmdet uses the new name')
    assert len(said) == before


def test_an_old_name_within_mmdet_is_no_news() -> None:
    head = AnchorHead(1, 8)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter('always')
        assert head.num_anchors == head.num_base_priors and len(said) == 1
        importlib.reload(mmdark.compat)
        assert head.num_anchors and len(said) == 1
