"""Run a detector in ONNX Runtime, which is faster than PyTorch on CPUs."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from mmdet.structures import DetDataSample
from mmdet.utils import get_test_pipeline_cfg
from mmengine.config import Config, ConfigDict
from mmengine.structures import InstanceData
from torch import nn

from mmdark.errors import InputError, one_line
from mmdark.whole_file import sha256_of

from .detection import LEFT_OUT

BACKENDS = ('auto', 'torch', 'onnxruntime')
LIMITS = ('score_thr', 'nms_pre', 'max_per_img', 'iou_threshold')


class OnnxSession(nn.Module):
    """A session of the ONNX file that ``mmdark export`` made from a detector.

    Args:
        weights: the weights from which the file was exported, ``NAME.pth``; the file is ``NAME.onnx`` in the same
            folder.
        cfg: the config of the detector.

    Attributes:
        path: path of the ONNX file.
        same_settings: whether the file has the thresholds of the config, and the config's test pipeline does not change
            images except by resizing.

    Raises:
        InputError: onnxruntime is missing, or the file is missing, damaged, or was exported from other weights.
    """

    def __init__(self, weights: Path, cfg: Config) -> None:
        super().__init__()
        if not installed():
            raise InputError("backend='onnxruntime' needs the package onnxruntime: pip install 'mmdark[onnx]'")
        import onnxruntime

        path = weights.with_suffix('.onnx')
        if not path.is_file():
            raise InputError(f'{path} does not exist: make it with mmdark export {weights} {path}')
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        try:
            self.session = onnxruntime.InferenceSession(str(path), options, providers=['CPUExecutionProvider'])
        except Exception as error:  # onnxruntime's errors have no common base class
            raise InputError(f'{path} cannot be read by ONNX Runtime ({one_line(error, 120)}): make it anew') from error
        said = self.session.get_modelmeta().custom_metadata_map
        if said.get('weights_sha256') != sha256_of(weights):
            raise InputError(f'{path} was not made of {weights.name} as it is now: make it anew with mmdark export')
        self.path = path
        self.same_settings = {name: float(said.get(name, 'nan')) for name in LIMITS} == _limits(cfg)

    def test_step(self, data: dict[str, list]) -> list[DetDataSample]:
        """Detect as ``test_step`` of a detector does.

        ``data`` has collated ``inputs``, each ``(3, H, W)`` uint8 BGR and all of the same size, and ``data_samples``.

        Returns:
            The data samples with ``pred_instances``, whose boxes are in pixels of the images before resizing.

        Raises:
            RuntimeError: ONNX Runtime failed, for example because there is not enough memory.
        """
        images = torch.stack(data['inputs']).permute(0, 2, 3, 1).numpy()
        try:
            index, boxes, scores, *labels = self.session.run(None, {'images': np.ascontiguousarray(images)})
        except Exception as error:  # as above
            raise RuntimeError(str(error)) from error
        classes = labels[0] if labels else np.zeros(len(scores), np.int64)
        for i, sample in enumerate(data['data_samples']):
            scale = np.array([*sample.metainfo.get('scale_factor', (1, 1))] * 2, np.float32)
            found = dict(bboxes=boxes / scale, scores=scores, labels=classes)
            sample.pred_instances = InstanceData(**{k: torch.from_numpy(v[index == i]) for k, v in found.items()})
        return data['data_samples']


def installed() -> bool:
    """Whether ONNX Runtime is installed."""
    return find_spec('onnxruntime') is not None


def changing_steps(cfg: Config) -> list[ConfigDict]:
    """The steps of the test pipeline that change a photograph, such as Resize; an ONNX file does not contain them."""
    steps = [step for step in get_test_pipeline_cfg(cfg) if step['type'] not in (*LEFT_OUT, 'PackDetInputs')]
    return [step for step in steps if step.get('scale_factor') != 1.0]


def _limits(cfg: Config) -> dict[str, float] | None:
    """The config's thresholds; None if its test pipeline changes images other than by resizing."""
    if any(step['type'] != 'Resize' for step in changing_steps(cfg)):
        return None
    test_cfg = (cfg.model.get('detector') or cfg.model).get('test_cfg') or {}
    known = {**test_cfg, **(test_cfg.get('nms') or {})}
    return {name: float(known.get(name, 'nan')) for name in LIMITS}
