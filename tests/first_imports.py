"""What happens to a process that imports one thing of mmdark first: ``python first_imports.py NAME...`` prints JSON.

Each name is imported in a fork of its own, so that what takes long is loaded once for all of them.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import traceback

SHARED = ('cv2', 'matplotlib.pyplot', 'pycocotools.coco', 'shapely', 'torch.distributed.fsdp', 'torchmetrics')
"""What takes long, but is neither of mmdark nor of the family of packages that it stands on."""
OLD_CONFIG = 'an old config'
"""Instead of a module: mmengine reads a config of before ``mmdark.register``."""


def registered(name: str) -> list[str]:
    """Import one thing; the names of mmdark's own classes and functions in mmdet's registries."""
    if name == OLD_CONFIG:
        from mmengine.config import Config

        assert 'mmdark' not in sys.modules
        Config.fromstring("custom_imports = dict(imports=['mmdark'], allow_failed_imports=False)", '.py')
    else:
        assert not {'mmengine', 'mmdet', 'mmdark'} & sys.modules.keys()
        importlib.import_module(name)
    content = vars(sys.modules['mmdet.registry']) if 'mmdet.registry' in sys.modules else {}
    registries = [value for key, value in content.items() if key.isupper()]
    kinds = {kind for registry in registries for kind in registry.module_dict.values()}
    return sorted(kind.__name__ for kind in kinds if kind.__module__.startswith('mmdark.'))


def main(names: list[str]) -> None:
    """Print ``{name: registered names, or the last line of a traceback}``."""
    for name in SHARED:
        importlib.import_module(name)
    found: dict[str, list[str] | str] = {}
    for name in names:
        reader, writer = os.pipe()
        if not os.fork():
            try:
                result: list[str] | str = registered(name)
            except BaseException:
                result = traceback.format_exc().splitlines()[-1]
            with os.fdopen(writer, 'w') as pipe:
                json.dump(result, pipe)
            os._exit(0)
        os.close(writer)
        with os.fdopen(reader) as pipe:
            found[name] = json.load(pipe)
        os.wait()
    print(json.dumps(found))


if __name__ == '__main__':
    main(sys.argv[1:])
