"""Weights of an ONNX file stored in float16, computed with in float32: half the size, as fast."""

from __future__ import annotations

import numpy as np

from .onnx_packages import onnx_package

SMALLEST = 256
"""Arrays of fewer values stay as they are: their bytes do not count."""


def with_half_weights(content: bytes) -> bytes:
    """The same file with each array of float32 weights stored in float16, and turned back where it is used.

    Weights that were trained or exported in half precision lose nothing. ONNX Runtime turns them back once, when it
    reads the file.
    """
    onnx, numpy_helper = onnx_package('onnx'), onnx_package('onnx.numpy_helper')
    model = onnx.load_from_string(content)
    casts = []
    for stored in model.graph.initializer:
        values = numpy_helper.to_array(stored)
        if values.dtype == np.float32 and values.size >= SMALLEST:
            name = stored.name
            stored.CopyFrom(numpy_helper.from_array(values.astype(np.float16), f'{name}_half'))
            casts.append(
                onnx.helper.make_node('Cast', [stored.name], [name], f'{name}_cast', to=onnx.TensorProto.FLOAT)
            )
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    return model.SerializeToString()
