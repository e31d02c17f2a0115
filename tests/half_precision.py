"""The half precisions that ``torch.autocast`` takes on a CPU: not float16 in older versions of torch."""

import pytest
import torch


def _is_taken(dtype: torch.dtype) -> bool:
    try:
        with torch.autocast('cpu', dtype=dtype):
            return True
    except RuntimeError:
        return False


HALVES = [
    pytest.param(dtype, marks=pytest.mark.skipif(not _is_taken(dtype), reason=f'this torch has no {dtype} on a CPU'))
    for dtype in (torch.float16, torch.bfloat16)
]
