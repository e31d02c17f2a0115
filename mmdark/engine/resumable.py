"""Check that a checkpoint has the entries that a resume needs."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any

from torch import Tensor

from mmdark.compat.checkpoint_contents import Kinds, check_kinds
from mmdark.errors import InputError

MOST_ITERATIONS = 10_000_000
"""Maximum ``meta.iter``; a resume steps the schedules once per finished iteration."""
MOST_SEED = 2**32 - 1

NEEDED: Kinds = {
    'meta': (dict,),
    'meta.epoch': (Integral,),
    'meta.iter': (Integral,),
    'message_hub': (dict,),
    'message_hub.log_scalars': (dict,),
    'message_hub.resumed_keys': (dict,),
    'message_hub.runtime_info': (dict,),
    'optimizer': (dict,),
}
DATED: Kinds = {'meta.iter': (Integral,), 'meta.time': (str,)}
"""Entries that decide which checkpoint is the newest."""
OPTIONAL: Kinds = {
    **DATED,
    'meta.seed': (Integral,),
    'param_schedulers': (list, dict),
    'message_hub.runtime_info.keep_ckpt_ids': (list,),
    'message_hub.runtime_info.last_ckpt': (str,),
    'message_hub.runtime_info.own_ckpts': (dict,),
    'message_hub.runtime_info.validated_iter': (Integral,),
    'message_hub.runtime_info.validation_seconds': (Real,),
    'message_hub.runtime_info.trained_samples': (dict,),
}


def check_resumable(checkpoint: dict[str, Any], name: str) -> None:
    """Check the types and ranges of the entries that a resume reads.

    Raises:
        InputError: an entry is missing, has the wrong type or is out of range; the message calls the checkpoint
            ``name``.
    """
    check_kinds(checkpoint, NEEDED, name, needed=True)
    check_kinds(checkpoint, OPTIONAL, name)
    meta = checkpoint['meta']
    for key, most in (('epoch', MOST_ITERATIONS), ('iter', MOST_ITERATIONS), ('seed', MOST_SEED)):
        if not 0 <= (meta.get(key) or 0) <= most:
            raise InputError(f'checkpoint {name}: its meta.{key} is not between 0 and {most}: name an earlier one')
    info = checkpoint['message_hub']['runtime_info']
    check_kinds(
        info,
        {key: (str,) if 'ckpt' in key else (Real, Tensor) for key in info if str(key).startswith('best_')},
        name,
    )
    if note := info.get('trained_samples'):
        check_kinds(note, dict.fromkeys(('iter', 'of', 'epoch', 'samples'), (Integral,)), name, needed=True)
    optimizers = checkpoint['optimizer']
    for state in [optimizers] if 'param_groups' in optimizers else optimizers.values():
        if not _is_optimizer_state(state, name):
            raise InputError(f'checkpoint {name}: its optimizer is not as torch writes it: name an earlier one')


def _is_optimizer_state(state: Any, name: str) -> bool:
    if not isinstance(state, dict):
        return False
    check_kinds(state, {'param_groups': (list,), 'state': (dict,)}, name, needed=True)
    check_kinds(state, {'base_param_settings': (dict,)}, name)
    groups = state['param_groups']
    listed = all(isinstance(group, dict) and isinstance(group.get('params'), list) for group in groups)
    return listed and all(isinstance(entry, dict) for entry in state['state'].values())
