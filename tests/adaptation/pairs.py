"""Records of a step with given contents, for the tests of the losses."""

from __future__ import annotations

from types import SimpleNamespace

from torch import Tensor


def pair(
    light: dict[str, Tensor], dark: dict[str, Tensor], recomposed: SimpleNamespace | None = None
) -> SimpleNamespace:
    """What a loss reads of a :class:`DarkPair`.

    Args:
        light: ``image``, ``shallow``, ``reflectance``, ``given`` of the light images; ``teacher`` and ``illumination``
            are the teacher's reflectance and illumination.
        dark: the same of the dark images.
        recomposed: another pair.
    """
    return SimpleNamespace(light=_view(light), dark=_view(dark), recomposed=recomposed)


def twice(**view: Tensor) -> SimpleNamespace:
    """Light and dark images alike, so that a loss of both images is twice the loss of one."""
    return pair(view, view)


def _view(given: dict[str, Tensor]) -> SimpleNamespace:
    teacher = SimpleNamespace(reflectance=given.get('teacher'), illumination=given.get('illumination'))
    return SimpleNamespace(**{**given, 'teacher': teacher})
