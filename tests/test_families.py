"""open-mmlab's packages and the onedl ones: one family, never both."""

from importlib.metadata import PackageNotFoundError

import pytest

from mmdark import families
from mmdark.errors import InputError


def install(monkeypatch: pytest.MonkeyPatch, **packages: str) -> None:
    """Let these and no other packages seem installed."""

    def version(package: str) -> str:
        try:
            return packages[package.replace('-', '_')]
        except KeyError:
            raise PackageNotFoundError(package) from None

    monkeypatch.setattr(families, 'version', version)


def test_this_environment_holds_one_family() -> None:
    family = families.installed_family()
    assert list(families.installed_packages()) == [family]
    assert family in families.FAMILIES


@pytest.mark.parametrize(
    ('packages', 'family'),
    [
        ({'mmengine': '0.10.7', 'mmcv': '2.1.0', 'mmdet': '3.3.0'}, 'openmmlab'),
        ({'mmengine': '0.10.7', 'mmcv_lite': '2.1.0', 'mmdet': '3.3.0'}, 'openmmlab'),
        ({'onedl_mmengine': '0.10.12', 'onedl_mmcv': '2.3.6', 'onedl_mmdetection': '3.5.1'}, 'onedl'),
    ],
)
def test_family_by_its_packages(monkeypatch: pytest.MonkeyPatch, packages: dict[str, str], family: str) -> None:
    install(monkeypatch, **packages)
    assert families.installed_family() == family


def test_both_families_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, mmengine='0.10.7', mmdet='3.3.0', onedl_mmcv='2.3.6')
    with pytest.raises(InputError, match='mmengine, mmdet and onedl-mmcv are installed together'):
        families.installed_family()


def test_no_family_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch)
    with pytest.raises(InputError, match='neither mmcv nor onedl-mmcv is installed'):
        families.installed_family()
