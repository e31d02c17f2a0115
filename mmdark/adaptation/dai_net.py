"""DAI-Net (arXiv:2312.01220): adapts a daylight detector to the dark with pairs of light and dark images."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from mmdet.models.detectors import BaseDetector
from mmdet.registry import MODELS
from mmdet.structures import OptSampleList, SampleList
from mmdet.utils import OptConfigType, OptMultiConfig
from torch import Tensor, nn

from mmdark.errors import InputError

from .dark_pair import DarkPair, Networks, View
from .tap import Tap

RECOMPOSITIONS = ('interchanged', 'own', None)
OWN_WEIGHTS = ('enhancer.', 'reflectance_decoder.', 'losses.')
"""Prefixes of the weights in a checkpoint that are not the detector's."""
DETECTOR = 'detector.'
"""Prefix of the detector's weights in this module, but not in a checkpoint."""


@MODELS.register_module()
class DAINet(BaseDetector):
    """Dark adaptation of any mmdet detector; predictions are those of the detector.

    A training step takes pairs of light and dark images. The detector is trained on the dark image with its own
    ``loss``. Shallow features of both images, from a layer of its backbone, are aligned and decoded into reflectances;
    a frozen Retinex teacher gives their targets. Then the images are recomposed with interchanged reflectances and
    decomposed again.

    Checkpoints store the detector's weights without a prefix, so they also load with the detector's own config.

    Args:
        detector: config of the detector, with its ``data_preprocessor``.
        tap: name of the detector's layer that returns the shallow features; see :class:`Tap`.
        losses: name → config of a module that takes a :class:`DarkPair` and returns a scalar, logged as ``loss_NAME``.
            The attribute ``needs`` of a module may list ``'teacher'`` and ``'recomposition'``; if one of these is
            missing, the loss is left out. A config of None is left out, too.
        enhancer: Retinex teacher, image → ``Decomposition``; None trains without decomposition and reflectance decoder.
        reflectance_decoder: (shallow features, size) → reflectance.
        recomposition: ``interchanged`` recomposes an image with the other one's reflectance, ``own`` with its own. With
            None there is no coherence loss, and only the images themselves are aligned.
        data_preprocessor: changes to the default ``DarkPairPreprocessor`` around the detector's preprocessor.
        init_cfg: see mmengine.
        backbone: empty; mmdet's ``init_detector`` fails on a config without it (``'init_cfg' in model.backbone``).
        **before: keys of mmdark 0.1 configs, which are rejected.

    Raises:
        InputError: unknown recomposition, unusable tap, a teacher without a loss that teaches the reflectance decoder,
            or an mmdark 0.1 config.
    """

    def __init__(
        self,
        detector: OptConfigType = None,
        tap: str = 'backbone.stem',
        losses: Mapping[str, OptConfigType] | None = None,
        enhancer: OptConfigType = None,
        reflectance_decoder: OptConfigType = None,
        recomposition: str | None = 'interchanged',
        data_preprocessor: OptConfigType = None,
        init_cfg: OptMultiConfig = None,
        backbone: OptConfigType = None,
        **before: object,
    ) -> None:
        if detector is None or before or (backbone or {}).get('type'):
            raise InputError(
                "DAINet is built around a detector: put the detector's keys into model.detector=dict(type=...), and "
                'each loss_NAME as NAME into model.losses=dict(...); docs/adaptation.md has an example'
            )
        built = MODELS.build(detector)
        own = detector.get('data_preprocessor') or dict(type='BaseDataPreprocessor')
        pairs = dict(type='DarkPairPreprocessor', preprocessor=own)
        super().__init__({**pairs, **(data_preprocessor or {})}, init_cfg)
        built.data_preprocessor = self.data_preprocessor.preprocessor
        if recomposition not in RECOMPOSITIONS:
            raise InputError(f'model.recomposition={recomposition!r}: choose one of {RECOMPOSITIONS}')
        self.recomposition = recomposition
        self.detector = built
        self.tap = Tap(built, tap)
        absent = {*(['teacher'] * (enhancer is None)), *(['recomposition'] * (recomposition is None))}
        modules = {name: MODELS.build(cfg) for name, cfg in (losses or {}).items() if cfg is not None}
        self.losses = nn.ModuleDict(
            {name: loss for name, loss in modules.items() if not absent & {*getattr(loss, 'needs', ())}}
        )
        self.enhancer = None if enhancer is None else MODELS.build(enhancer)
        if self.enhancer is not None:
            self.reflectance_decoder = MODELS.build(reflectance_decoder)
            if not any('teacher' in getattr(loss, 'needs', ('teacher',)) for loss in self.losses.values()):
                raise InputError(
                    'no loss teaches the reflectance decoder: set model.enhancer=None, or keep one of them'
                )
        self._register_state_dict_hook(_leave_out_prefix)
        self._register_load_state_dict_pre_hook(_put_in_prefix, with_module=True)

    def loss(self, batch_inputs: dict[str, Tensor], batch_data_samples: SampleList) -> dict[str, Tensor]:
        """Compute the losses of one training step.

        Args:
            batch_inputs: ``light`` and ``dark`` images, each RGB in [0, 1], ``(B, 3, H, W)``.
            batch_data_samples: the objects, the same in light and dark images.

        Returns:
            The losses of the detector on the dark images, and ``loss_NAME`` for each of ``losses``.

        Raises:
            InputError: the images are not pairs.
        """
        if not isinstance(batch_inputs, Mapping):
            raise InputError(
                'DAINet trains on pairs: end the training pipeline with DarkISP and PackDarkPair, or set '
                "model.data_preprocessor.dark_isp='corrected'"
            )
        light, dark = batch_inputs['light'], batch_inputs['dark']
        with self.tap.split() as shallow:
            images = self.data_preprocessor.from_unit(torch.cat([light, dark]))
            losses = self.detector.loss(images, batch_data_samples)
        pair = self._pair(light, dark, *shallow)
        return {**losses, **{f'loss_{name}': loss(pair) for name, loss in self.losses.items()}}

    def _pair(self, light: Tensor, dark: Tensor, shallow_light: Tensor, shallow_dark: Tensor) -> DarkPair:
        networks = Networks(
            self.enhancer, getattr(self, 'reflectance_decoder', None), self._shallow, self.recomposition
        )
        return DarkPair(View(light, shallow_light, networks), View(dark, shallow_dark, networks), networks)

    def _shallow(self, images: Tensor) -> Tensor:
        """Shallow features of RGB images in [0, 1]."""
        return self.tap(self.data_preprocessor.from_unit(images))

    def reflectance(self, images: Tensor) -> Tensor:
        """Decode the reflectance of RGB images in [0, 1], ``(B, 3, H, W)``, with the same shape and range.

        Raises:
            ValueError: the model has no reflectance decoder (it was built without a teacher).
        """
        if self.enhancer is None:
            raise ValueError('this model was built with enhancer=None and has no reflectance decoder')
        return self.reflectance_decoder(self._shallow(images), images.shape[-2:])

    def predict(self, batch_inputs: Tensor, batch_data_samples: SampleList, rescale: bool = True) -> SampleList:
        """Predict with the detector."""
        return self.detector.predict(batch_inputs, batch_data_samples, rescale=rescale)

    def _forward(self, batch_inputs: Tensor, batch_data_samples: OptSampleList = None) -> object:
        return self.detector._forward(batch_inputs, batch_data_samples)

    def extract_feat(self, batch_inputs: Tensor) -> object:
        """The detector's features."""
        return self.detector.extract_feat(batch_inputs)


def _leave_out_prefix(module: DAINet, state: dict[str, Tensor], prefix: str, metadata: object) -> None:
    """Remove the prefix of the detector's weights from a state dict; the order is kept."""
    for name in [name for name in state if name.startswith(prefix)]:
        state[prefix + name.removeprefix(prefix).removeprefix(DETECTOR)] = state.pop(name)


def _put_in_prefix(module: DAINet, state: dict[str, Tensor], prefix: str, *_: object) -> None:
    """Add the prefix of the detector's weights; torch passes a copy of the state dict, which is modified in place."""
    for name in [name for name in state if name.startswith(prefix)]:
        inner = name.removeprefix(prefix)
        if inner.split('.')[0] not in module._modules:
            state[f'{prefix}{DETECTOR}{inner}'] = state.pop(name)
