"""The reflectance decoder against a plain chain of functions, at even and odd sizes."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from mmdark.adaptation import ReflectanceDecoder


@pytest.mark.parametrize('size', [(16, 24), (33, 47), (17, 2)])
def test_shape_and_range(size: tuple[int, int]) -> None:
    decoder = ReflectanceDecoder(6)
    with torch.no_grad():
        reflectance = decoder(torch.randn(2, 6, size[0] // 2, size[1] // 2), size)
    assert tuple(reflectance.shape) == (2, 3, *size)
    assert reflectance.min() > 0 and reflectance.max() < 1


def test_published_chain_at_even_sizes() -> None:
    decoder, shallow = ReflectanceDecoder(6), torch.randn(1, 6, 5, 7)
    decoder.init_weights()
    with torch.no_grad():
        hidden = F.conv2d(shallow, decoder.hidden.weight, decoder.hidden.bias, padding=1).relu()
        doubled = hidden.repeat_interleave(2, 2).repeat_interleave(2, 3)
        drawn = F.conv2d(doubled, decoder.reflectance.weight, decoder.reflectance.bias, padding=1)
        assert torch.allclose(decoder(shallow, (10, 14)), 1 / (1 + (-drawn).exp()), atol=1e-6)


def test_odd_size_stretches_by_one() -> None:
    """Each pixel comes from the shallow place that covers it."""
    decoder, shallow = ReflectanceDecoder(2), torch.arange(6.0).view(1, 1, 2, 3).expand(1, 2, 2, 3)
    with torch.no_grad():
        for conv in (decoder.hidden, decoder.reflectance):
            torch.nn.init.zeros_(conv.weight)
            torch.nn.init.zeros_(conv.bias)
        decoder.hidden.weight[:, 0, 1, 1] = 1
        decoder.reflectance.weight[:, 0, 1, 1] = 1
        logits = decoder(shallow, (5, 7)).logit()[0, 0]
    rows, columns = torch.tensor([0, 0, 0, 1, 1]), torch.tensor([0, 0, 0, 1, 1, 2, 2])
    assert torch.allclose(logits, shallow[0, 0][rows][:, columns], atol=1e-4)


def test_xavier_and_zero_bias() -> None:
    decoder = ReflectanceDecoder(16)
    decoder.init_weights()
    for conv in (decoder.hidden, decoder.reflectance):
        bound = (6 / (9 * (conv.in_channels + conv.out_channels))) ** 0.5
        assert 0.9 * bound < conv.weight.abs().max() <= bound
        assert not conv.bias.any()


def test_gradients_are_those_of_the_upsampled_maps() -> None:
    decoder, shallow = ReflectanceDecoder(4).double(), torch.randn(2, 4, 5, 3).double().requires_grad_()
    learns = (shallow, *decoder.parameters())
    drawn = decoder(shallow, (10, 6))
    pull = torch.randn_like(drawn)
    doubled = F.interpolate(decoder.hidden(shallow).relu(), scale_factor=2, mode='nearest')
    chain = decoder.reflectance(doubled).sigmoid().float()
    given = (torch.autograd.grad((x * pull).sum(), learns) for x in (drawn, chain))
    for mine, wanted in zip(*given, strict=True):
        assert torch.allclose(mine, wanted, rtol=1e-5, atol=1e-7)
