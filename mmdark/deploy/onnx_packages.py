"""Import the optional packages of the extra ``onnx``."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

from mmdark.errors import InputError


def onnx_package(name: str) -> ModuleType:
    """Import ``onnx``, one of its modules, or ``onnxruntime``.

    Raises:
        InputError: the package is not installed.
    """
    try:
        return import_module(name)
    except ImportError as error:
        package = name.split('.')[0]
        raise InputError(f"ONNX files need the package {package}: pip install 'mmdark[onnx]'") from error
