"""Which files are checkpoints of a training, by name and place."""

from __future__ import annotations

import os
import re


def is_checkpoint_name(name: str, template: str) -> bool:
    """Whether the checkpoint hook gives such names.

    Args:
        name: of a file, without folder.
        template: the hook's ``filename_tmpl``, with a ``{}`` for the number.

    Example:
        >>> is_checkpoint_name('best_dark_wider_AP_epoch_3.pth', 'epoch_{}.pth')
        True
        >>> is_checkpoint_name('epoch_a.pth', 'epoch_{}.pth')
        False
    """
    numbered = re.sub(r'\\{.*\\}', r'\\d+', re.escape(template))
    return re.fullmatch(rf'(best_.+_)?({numbered}|iter_\d+\.pth)', name) is not None


def same_place(path: str, other: str) -> bool:
    """Whether two paths, or two addresses of another file backend, are one place."""
    local = '://' not in path + other
    return path == other or (local and os.path.realpath(path) == os.path.realpath(other))
