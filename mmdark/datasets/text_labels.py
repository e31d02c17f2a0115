"""Base class of the data sets whose labels are text files."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, ClassVar

from mmdet.datasets.base_det_dataset import BaseDetDataset

from mmdark.datasets.label_files import read_text
from mmdark.errors import InputError


class TextLabelDataset(BaseDetDataset):
    """``BaseDetDataset`` with the checks and filters that WIDER FACE, DARK FACE and ExDark share."""

    METAINFO: ClassVar[dict[str, Any]] = {'classes': ('face',), 'palette': [(0, 255, 0)]}
    filters: ClassVar[tuple[str, ...]] = ('filter_empty_gt',)
    remedy: ClassVar[str]
    """What to do if files are missing; the end of error messages."""

    @property
    def keep_empty(self) -> bool:
        """Whether images without objects are also cropped for training: ``filter_empty_gt=False``."""
        return not (self.filter_cfg or {}).get('filter_empty_gt', True)

    def check_root(self) -> None:
        """Raise if ``data_root`` does not exist."""
        if self.backend_args is None and self.data_root and not os.path.isdir(self.data_root):
            raise InputError(f'data_root {self.data_root} does not exist: {self.remedy}')

    def read(self, path: str, what: str) -> str:
        """The text of a file."""
        return read_text(path, what, self.remedy, self.backend_args)

    def filter_data(self) -> list[dict]:
        """Apply ``filter_cfg``, except in ``test_mode``."""
        options = dict(self.filter_cfg or {})
        if unknown := options.keys() - {*self.filters}:
            known = ' and '.join(self.filters)
            raise InputError(
                f'filter_cfg of {type(self).__name__} knows {known}, not {", ".join(sorted(unknown))}: remove it'
            )
        if self.test_mode:
            return self.data_list
        kept = [info for info in self.data_list if self.keeps(info, **options)]
        if not kept:
            classes = ', '.join(self.metainfo['classes'][:12])
            raise InputError(
                f'{self.source()}: filter_cfg leaves no image with an object of {classes}: change filter_cfg, or name '
                'other images'
            )
        return kept

    def keeps(self, info: dict, filter_empty_gt: bool = False) -> bool:
        """Whether an image is used for training."""
        return not filter_empty_gt or any(not instance['ignore_flag'] for instance in info['instances'])

    def source(self) -> str:
        """Description of the selected images, for messages."""
        return self.ann_file


def instance_of(box: Sequence[float], label: int = 0, ignored: bool = False) -> dict:
    """A box ``x1 y1 x2 y2`` as one of mmdet's instances."""
    return {'bbox': list(box), 'bbox_label': label, 'ignore_flag': int(ignored)}
