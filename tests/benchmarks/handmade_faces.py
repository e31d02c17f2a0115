"""ONNX files with the outputs of SCRFD and of YuNet, made by hand: a red cell of a stride is a face."""

from __future__ import annotations

from pathlib import Path

import numpy as np

STRIDES = (8, 16, 32)
GAIN, LIMIT = 40.0, 20.0
"""Logit of a cell: gain times the mean of the network's first channel, less the limit."""


def write_scrfd(path: Path, distances: np.ndarray, size: tuple[int, int] | None = None, without: str = '') -> Path:
    """Two anchors a cell that score alike, with ``distances (2, 4)``; ``size`` is that which the input states."""
    nodes, constants, outputs = [], [], []
    for stride in STRIDES:
        weights = np.zeros((2, 3, stride, stride), np.float32)
        weights[:, 0] = GAIN / stride**2
        _head(nodes, constants, f'score_{stride}', stride, weights, np.full(2, -LIMIT), (-1, 1), True)
        nothing = np.zeros((8, 3, stride, stride), np.float32)
        _head(nodes, constants, f'bbox_{stride}', stride, nothing, distances.reshape(-1), (-1, 4), False)
        outputs += [f'score_{stride}', f'bbox_{stride}']
    return _write(path, nodes, constants, [name for name in reversed(outputs) if name != without], 2, size)


def write_yunet(path: Path) -> Path:
    """One anchor a cell, in the middle of whose corner a face of two strides by one stands."""
    nodes, constants, outputs = [], [], []
    for name, columns, bias in (('cls', 1, None), ('obj', 1, None), ('bbox', 4, [0, 0, np.log(2), 0]), ('kps', 10, 0)):
        for stride in STRIDES:
            weights = np.zeros((columns, 3, stride, stride), np.float32)
            if bias is None:
                weights[:, 2] = GAIN / 128 / stride**2  # YuNet takes BGR, 0 to 255
            values = np.zeros(columns) + (-LIMIT - GAIN * 127.5 / 128 if bias is None else bias)
            _head(nodes, constants, f'{name}_{stride}', stride, weights, values, (1, -1, columns), bias is None)
            outputs.append(f'{name}_{stride}')
    return _write(path, nodes, constants, outputs, 3, None)


def score_of(red: float) -> float:
    """What a cell scores whose pixels are that red, 0 to 255."""
    return float(1 / (1 + np.exp(LIMIT - GAIN * (red - 127.5) / 128)))


def _head(
    nodes: list,
    constants: list,
    name: str,
    stride: int,
    weights: np.ndarray,
    bias: np.ndarray,
    shape: tuple[int, ...],
    sigmoid: bool,
) -> None:
    """A convolution a stride wide, whose channels become columns."""
    from onnx import helper, numpy_helper

    sides = dict(kernel_shape=[stride] * 2, strides=[stride] * 2)  # OpenCV 4.8 does not infer the first
    arrays = {'w': weights, 'b': np.asarray(bias, np.float32), 's': np.array(shape, np.int64)}
    constants += [numpy_helper.from_array(array, f'{name}_{key}') for key, array in arrays.items()]
    nodes += [
        helper.make_node('Conv', ['image', f'{name}_w', f'{name}_b'], [f'{name}_map'], **sides),
        helper.make_node('Transpose', [f'{name}_map'], [f'{name}_last'], perm=[0, 2, 3, 1]),
        helper.make_node('Reshape', [f'{name}_last', f'{name}_s'], [f'{name}_rows' if sigmoid else name]),
        *([helper.make_node('Sigmoid', [f'{name}_rows'], [name])] if sigmoid else []),
    ]


def _write(
    path: Path, nodes: list, constants: list, outputs: list[str], rank: int, size: tuple[int, int] | None
) -> Path:
    from onnx import TensorProto, helper, save

    image = helper.make_tensor_value_info('image', TensorProto.FLOAT, [1, 3, *(size or ('h', 'w'))])
    given = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ['batch', 'rows', 'columns'][-rank:]) for name in outputs
    ]
    graph = helper.make_graph(nodes, 'faces', [image], given, constants)
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid('', 13)], ir_version=8), str(path))
    return path
