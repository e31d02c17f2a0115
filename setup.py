"""Packaging of mmdark; what no tool can state in pyproject.toml: extras from requirements/, and ``mmdark/.mim``."""

import re
import shutil
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent
MIM_FILES = ('configs', 'tools', 'model-index.yml')
FOR_A_CLONE = ('benchmark.py', 'gpu_report.py', 'peers.py', 'check_parity.py', 'compare_teachers.py')
"""Tools that run what stands in benchmarks/ and parity/, which are not packed."""


def version() -> str:
    """The version, read without importing mmdark, which needs torch."""
    text = (ROOT / 'mmdark' / '__init__.py').read_text(encoding='utf-8')
    found = re.search(r"^__version__ = '([^']+)'$", text, re.MULTILINE)
    if not found:
        raise ValueError('mmdark/__init__.py states no __version__')
    return found[1]


def requirements(name: str) -> list[str]:
    """The lines of ``requirements/NAME.txt``."""
    lines = (ROOT / 'requirements' / f'{name}.txt').read_text(encoding='utf-8').splitlines()
    return [line for line in lines if line.strip() and not line.startswith('#')]


class BuildWithMim(build_py):
    """Copies what ``mim train|test mmdark`` looks for into ``mmdark/.mim`` of the build, not of the source tree."""

    def run(self) -> None:
        """Build the package; an editable install has nothing to copy, there ``tools/`` is at hand."""
        super().run()
        if self.editable_mode:
            return
        mim = Path(self.build_lib) / 'mmdark' / '.mim'
        shutil.rmtree(mim, ignore_errors=True)
        for name in MIM_FILES:
            source, target = ROOT / name, mim / name
            if source.is_dir():
                shutil.copytree(source, target, ignore=shutil.ignore_patterns('__pycache__', *FOR_A_CLONE))
            elif source.is_file():
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source, target)


setup(
    name='mmdark',
    version=version(),
    description='Detectors that see in the dark, for MMDetection: DAI-Net around any of them, DSFD for faces',
    long_description=(ROOT / 'README.md').read_text(encoding='utf-8') if (ROOT / 'README.md').exists() else '',
    long_description_content_type='text/markdown',
    license='Apache-2.0',
    license_files=['LICENSE'],
    classifiers=[
        'Programming Language :: Python :: 3',
        'Topic :: Scientific/Engineering :: Image Recognition',
    ],
    packages=find_packages(include=['mmdark', 'mmdark.*']),
    entry_points={'console_scripts': ['mmdark = mmdark.cli:main']},
    package_data={'mmdark': ['py.typed'], 'mmdark.models': ['*.pth', '*.onnx']},
    python_requires='>=3.10',
    install_requires=requirements('runtime'),
    extras_require={
        name: requirements(name)
        for name in (
            'openmmlab',
            'openmmlab-full',
            'onedl',
            'demo',
            'dev',
            'onnx',
            'safetensors',
            'tensorboard',
            'video',
        )
    },
    cmdclass={'build_py': BuildWithMim},
    # An editable install puts this folder on the path. The default, a finder behind all folders, comes too late where
    # the current folder holds a clone named mmdark, which Python takes for a namespace package.
    options={'editable_wheel': {'mode': 'compat'}},
    zip_safe=False,
)
