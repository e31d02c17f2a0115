"""Store the weights of an ONNX file in float16 but compute in float32: half the size at the same speed."""

from __future__ import annotations

import numpy as np

from .onnx_packages import onnx_package

SMALLEST = 256
"""Arrays with fewer values are not converted, because their size does not matter."""


def with_half_weights(content: bytes) -> bytes:
    """Store each array of float32 weights in float16 and convert it back to float32 in the graph.

    Weights that were trained or exported in half precision do not change. ONNX Runtime converts the weights back once,
    when it loads the file.
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
