"""A training as one of several processes of one device: ``python -m tests.gpu.world ROOT WORK_DIR OPTIONS STOP``."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from mmengine.config import config as config_module
from mmengine.device import utils
from mmengine.runner import Runner

from mmdark.apis import leave_distributed, prepare_distributed
from mmdark.errors import InputError
from tests.engine.world_losses import Record, config
from tests.training_lives import SignalSelf

if __name__ == '__main__':
    root, work_dir, options, stop = sys.argv[1:]
    config_module.FormatCode = lambda text, **_: (text, True)  # a Runner formats its config five times
    cfg, record = config(root, work_dir, json.loads(options)), Record()
    if os.environ.get('CUDA_VISIBLE_DEVICES') == '':
        utils.DEVICE = 'cpu'
    prepare_distributed(cfg, 'pytorch')
    cfg.default_hooks.runtime_info.later = False  # the record reads each iteration
    runner = Runner.from_cfg(cfg)
    runner.register_hook(record)
    if int(stop):
        runner.register_hook(SignalSelf(int(stop)))
    try:
        runner.train()
    except InputError as error:
        sys.exit(f'error: {error}')
    Path(work_dir, f'losses_{os.environ["RANK"]}.json').write_text(json.dumps(record.losses))
    del runner
    leave_distributed()
