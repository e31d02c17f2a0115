"""What stands where in a checkpoint: entries of another kind are refused in one line, and no text in it is a config."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Integral, Real
from typing import Any

from mmdark.errors import InputError

CONFIG_TEXT = 'config_text'
"""The entry of ``meta`` with the text of the config, which mmengine writes as ``cfg``."""
Kinds = Mapping[str, tuple[type, ...]]
_NAMES = {dict: 'dict', list: 'list', str: 'text', Integral: 'whole number', Real: 'number'}

OF_ALL: Kinds = {
    'state_dict': (dict,),
    'meta': (dict,),
    'meta.cfg': (str,),
    'meta.config_name': (str,),
    'meta.converted_from': (str,),
    'meta.dataset_meta': (dict,),
    'meta.experiment_name': (str,),
    'message_hub': (dict,),
    'message_hub.runtime_info': (dict,),
}
"""What mmdark reads of any checkpoint → what it is where it is there."""


def check_kinds(checkpoint: Mapping[str, Any], kinds: Kinds, name: str, needed: bool = False) -> None:
    """See that entries are what they should be.

    Args:
        checkpoint: as it was read.
        kinds: dotted names of entries, those that hold others first → their types.
        name: of the checkpoint, for the error.
        needed: whether the entries must be there; otherwise they may be missing or None.

    Raises:
        InputError: an entry is of another kind, or missing.
    """
    for key, types in kinds.items():
        value: Any = checkpoint
        for part in key.split('.'):
            value = (value or {}).get(part)
        if (value is None and not needed) or (isinstance(value, types) and not isinstance(value, bool)):
            continue
        found = 'missing' if value is None else f'a {type(value).__name__}'
        raise InputError(
            f'checkpoint {name}: its {key} is {found}, where a {_NAMES[types[0]]} is needed: name another checkpoint, '
            'or ask whoever made it for the weights alone'
        )


def settle_contents(checkpoint: dict[str, Any], name: str) -> None:
    """Check what any reader relies on, and put the texts of configs where nobody runs them.

    ``Runner.resume`` runs ``meta.config``, and mmdet's ``DetInferencer`` runs ``message_hub.runtime_info.cfg`` or
    ``meta.cfg`` where it gets no config. The last is kept, as ``meta.config_text``.

    Args:
        checkpoint: is changed in place.
        name: for the error.

    Raises:
        InputError: an entry is of another kind than all checkpoints have.
    """
    for key in ('meta', 'message_hub', 'state_dict'):
        if checkpoint.get(key, key) is None:
            del checkpoint[key]
    check_kinds(checkpoint, OF_ALL, name)
    weights = checkpoint.get('state_dict', checkpoint)
    if strange := next((key for key in weights if not isinstance(key, str)), None):
        raise InputError(
            f'checkpoint {name} names a weight by a {type(strange).__name__}, not by a text: name another file'
        )
    meta = checkpoint.get('meta', {})
    for key, names in (meta.get('dataset_meta') or {}).items():
        if str(key).lower() == 'classes' and not _are_texts([names] if isinstance(names, str) else names):
            raise InputError(
                f'checkpoint {name}: its meta.dataset_meta.{key} is no list of texts: name another checkpoint'
            )
    meta.pop('config', None)
    if 'cfg' in meta:
        meta[CONFIG_TEXT] = meta.pop('cfg')
    (checkpoint.get('message_hub', {}).get('runtime_info') or {}).pop('cfg', None)


def _are_texts(names: Any) -> bool:
    return isinstance(names, list | tuple) and all(isinstance(one, str) for one in names)
