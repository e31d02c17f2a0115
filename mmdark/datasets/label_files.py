"""Label files of data sets that keep one for each image: reading them, and saying at once what is wrong with them."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

import mmengine.fileio as fileio
from mmengine.logging import print_log

from mmdark.errors import InputError, one_line
from mmdark.file_limits import refuse_endless

Label = TypeVar('Label')


def names_in(folder: str) -> set[str]:
    """The names in a folder; none where there is no such folder, or can be none (a NUL in its name)."""
    try:
        return set(os.listdir(folder or '.'))
    except (OSError, ValueError):
        return set()


def read_text(path: str, what: str, remedy: str, backend_args: dict | None = None) -> str:
    """The text of a file.

    Args:
        path: of the file.
        what: it is, for messages: ``'label'``.
        remedy: what to do where it cannot be read, for the end of the message.
        backend_args: where files live, see :func:`mmengine.fileio.get`.

    Raises:
        InputError: the file cannot be read or is not text.
    """
    try:
        refuse_endless(path)
        return fileio.get(path, backend_args=backend_args).decode('utf-8-sig')
    except UnicodeDecodeError:
        raise InputError(f'{what} {path} is not a text file: copy it again, or name another') from None
    except OSError as error:
        raise InputError(f'{what} {path} cannot be read ({error.strerror or error}): {remedy}') from None


def read_all(paths: Iterable[str], read: Callable[[str], Label]) -> list[Label]:
    """What ``read`` makes of each label file.

    Raises:
        InputError: labels are malformed; names the first and says how many there are.
    """
    paths = list(paths)
    labels, faults = [], []
    for path in paths:
        try:
            labels.append(read(path))
        except InputError as error:
            faults.append(str(error))
    if faults:
        more = f' (the first of {len(faults)} such labels among {len(paths)})' if len(faults) > 1 else ''
        raise InputError(f'{faults[0]}{more}')
    return labels


def places_there(
    source: str, count: int, no_image: Mapping[int, str], no_label: Mapping[int, str], remedy: str, allow_missing: bool
) -> list[int]:
    """The places, 0 to ``count - 1``, of the images that are there with their labels.

    Args:
        source: how messages name the choice of images.
        count: how many images were asked for.
        no_image: from the places of those that are missing to the paths that were looked for.
        no_label: likewise for those that are there without a label.
        remedy: what to do where nothing is there at all, for the end of the message.
        allow_missing: goes on with the others, with one warning.

    Raises:
        InputError: some are missing and ``allow_missing`` is False, or all are.
    """
    if not no_image and not no_label:
        return list(range(count))
    counts = [f'{len(no_image)} are not there'] if no_image else []
    counts += [f'{len(no_label)} have no label'] if no_label else []
    first = next(iter((no_image or no_label).values()))
    said = f'{source}: of {count} images {" and ".join(counts)} (looked for {first})'
    left = count - len(no_image) - len(no_label)
    if not left:
        raise InputError(f'{said}: {remedy}')
    if not allow_missing:
        raise InputError(
            f'{said}: copy them there, or go on with the {left} others: allow_missing=True, '
            '--cfg-options allow_missing=True (results are then those of a part)'
        )
    warn(f'{said}; going on with {left}')
    return [place for place in range(count) if place not in no_image and place not in no_label]


def warn(text: str) -> None:
    """One line in the log, which begins with time, logger and level."""
    print_log(one_line(text, 250), logger='current', level=logging.WARNING)
