"""Detect which of two package families provides mmengine, mmcv and mmdet.

Cause: open-mmlab has made no release since 2024; the onedl packages continue its code under the same import names, and
the two families overwrite each other's files. End: when only one family remains.
"""

from importlib.metadata import PackageNotFoundError, version

from mmdark.errors import InputError

FAMILIES = {
    'openmmlab': ('mmengine', 'mmcv', 'mmcv-lite', 'mmdet'),
    'onedl': ('onedl-mmengine', 'onedl-mmcv', 'onedl-mmdetection'),
}

_REMEDY = {
    'openmmlab': 'replace mmcv-lite by full mmcv: pip uninstall mmcv-lite, then '
    'pip install --no-build-isolation mmcv==2.1.0 (compiles)',
    'onedl': 'install onedl-mmcv with its ops: pip install --force-reinstall --no-deps --no-binary onedl-mmcv '
    '--no-build-isolation onedl-mmcv==2.3.6 (compiles)',
}
"""How to get mmcv's compiled ops."""


def installed_packages() -> dict[str, dict[str, str]]:
    """Installed packages, as ``{family: {package: version}}``."""
    found: dict[str, dict[str, str]] = {}
    for family, packages in FAMILIES.items():
        for package in packages:
            try:
                found.setdefault(family, {})[package] = version(package)
            except PackageNotFoundError:
                continue
    return {family: packages for family, packages in found.items() if packages}


def installed_family() -> str:
    """The installed family, ``'openmmlab'`` or ``'onedl'``; raises InputError if none or both are installed."""
    found = installed_packages()
    if len(found) == 1:
        return next(iter(found))
    if not found:
        raise InputError(
            'neither mmcv nor onedl-mmcv is installed: pip install "mmdark[openmmlab]" or pip install "mmdark[onedl]"'
        )
    both = ' and '.join(', '.join(packages) for packages in found.values())
    raise InputError(
        f'{both} are installed together, but they own the same import names: keep one family, in a fresh environment'
    )


def mmcv_without_ops() -> tuple[str, str]:
    """Name and version of the installed mmcv package, and how to install one with compiled ops."""
    family = installed_family()
    packages = installed_packages()[family]
    return next(f'{package} {number}' for package, number in packages.items() if 'mmcv' in package), _REMEDY[family]
