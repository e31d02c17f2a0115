"""Paths, links, translations and figures of the pages; the index and the site hold all of them."""

from __future__ import annotations

import ast
import importlib
import pkgutil
import re

import pytest
from mmengine.config import Config

from tests.doc_pages import ALL, CHINESE, DOCS, PAGES, README, ROOT, blocks

INDEX = 'docs/README.md'
MADE = 'configs/mine'
"""Where a reader of docs/extend.md puts configs; test_extend.py does so, too."""
PAPER = PAGES['docs/paper.md']
FOLDERS = (
    '.ci',
    'benchmarks',
    'configs',
    'docker',
    'docs',
    'examples',
    'mmdark',
    'parity',
    'requirements',
    'tests',
    'tools',
)


@pytest.mark.parametrize('page', PAGES)
def test_every_path_exists(page: str) -> None:
    folders = '|'.join(map(re.escape, FOLDERS))
    named = set(re.findall(rf'(?<![\w/.-])((?:{folders})/[\w./-]*\w/?)', PAGES[page]))
    named = {path for path in named if not path.startswith(MADE)}
    assert len(named) > 5 or page in DOCS
    assert not [path for path in sorted(named) if not (ROOT / path).exists()]


def links_of(page: str) -> list[str]:
    return re.findall(r'\]\(([^)\s]+)\)', PAGES[page])


def anchors_of(page: str) -> set[str]:
    text = re.sub(r'^```.*?^```$', '', PAGES[page], flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r'^#+ (.+)$', text, re.MULTILINE)
    return {re.sub(r'[^\w -]', '', heading).lower().replace(' ', '-') for heading in headings}


@pytest.mark.parametrize('page', PAGES)
def test_every_link_leads_somewhere(page: str) -> None:
    """Links are relative to the page's folder; the part after # is a heading of the linked page."""
    links = links_of(page)
    assert links or page in DOCS
    for link in links:
        if link.startswith(('http://', 'https://')):
            continue
        file, _, anchor = link.partition('#')
        target = ((ROOT / page).parent / file).resolve() if file else ROOT / page
        assert target.exists(), link
        if anchor:
            assert anchor in anchors_of(target.relative_to(ROOT).as_posix()), link


@pytest.mark.parametrize('page', DOCS)
def test_every_page_is_in_the_index_and_on_the_site(page: str) -> None:
    name = page.removeprefix('docs/')
    assert f': {name}\n' in (ROOT / 'mkdocs.yml').read_text(encoding='utf-8')
    assert f']({name})' in PAGES[INDEX] or page == INDEX


def test_the_api_page_names_what_is_there() -> None:
    names = re.findall('^::: (.+)$', PAGES['docs/api.md'], re.MULTILINE)
    assert len(names) > 10
    assert all(callable(pkgutil.resolve_name(name)) for name in names)


def test_the_tools_of_a_commit_have_the_pinned_versions() -> None:
    pins = (ROOT / 'requirements' / 'constraints.txt').read_text()
    used = re.findall(r'\[(.+==.+)\]', (ROOT / '.pre-commit-config.yaml').read_text())
    assert used and all(f'\n{pin}\n' in pins for pin in used)


@pytest.mark.parametrize(
    ('english', 'chinese'),
    [(README, CHINESE), (INDEX, 'docs/zh_cn/README.md'), ('docs/adaptation.md', 'docs/zh_cn/adaptation.md')],
)
def test_a_translation_has_the_same_code_links_and_figures(english: str, chinese: str) -> None:
    assert blocks(r'\w+', PAGES[english]) == blocks(r'\w+', PAGES[chinese])
    assert files_linked_by(english) == files_linked_by(chinese)
    assert len(re.findall('^## ', PAGES[english], re.MULTILINE)) == len(
        re.findall('^## ', PAGES[chinese], re.MULTILINE)
    )
    assert figures_of(english) == figures_of(chinese)


def files_linked_by(page: str) -> set[str]:
    """Pages and files, a translation standing for what it translates, without the page itself."""
    local = [link for link in links_of(page) if not link.startswith('https:')]
    paths = {((ROOT / page).parent / link).resolve().relative_to(ROOT).as_posix() for link in local}
    return {path.replace('zh_cn/', '').replace('_zh-CN', '') for path in paths} - {README, INDEX}


def figures_of(page: str) -> set[str]:
    """The numbers of the prose."""
    prose = re.sub(r'^```.*?^```$|\]\([^)]*\)|`[^`]*`', '', PAGES[page], flags=re.MULTILINE | re.DOTALL)
    return set(re.findall(r'(?<![\w.-])\d+(?:\.\d+)?(?:e-\d)?(?![\w-])', prose))


@pytest.mark.parametrize('page', PAGES)
def test_what_python_imports_from_us_is_there(page: str) -> None:
    for code in blocks('python', PAGES[page]):
        for node in ast.walk(ast.parse(code)):
            if isinstance(node, ast.ImportFrom) and (node.module or '').split('.')[0] == 'mmdark':
                module = importlib.import_module(node.module)
                assert [name.name for name in node.names if not hasattr(module, name.name)] == []


def test_every_loss_of_the_model_is_in_the_table() -> None:
    model = Config.fromfile(ROOT / 'configs' / 'dsfd_dark_wider.py').model
    rows = [line for line in PAPER.splitlines() if re.match(r'\|.*`mmdark/', line)]
    losses = {f'loss_{name}' for name in model.losses}
    assert losses == {key for row in rows for key in re.findall(r'\| `(loss_\w+)` \|', row)}


def test_the_ablation_on_the_page_is_the_file() -> None:
    path, code = re.search(
        r'This is\n`(configs/ablations/[\w.-]+)`:\n\n```python\n(.*?)```', PAGES['docs/training.md'], re.DOTALL
    ).groups()
    assert (ROOT / path).read_text(encoding='utf-8') == code


def test_versions_are_the_pinned_ones() -> None:
    pins = dict(re.findall(r'^([\w-]+)==([\d.]+)', (ROOT / 'requirements/constraints.txt').read_text(), re.MULTILINE))
    named = re.findall(r'\b(mmengine|mmcv|mmdet) (\d+\.\d+\.\d+)', ALL)
    assert len(named) > 3
    assert not [(name, version) for name, version in named if pins[name] != version]
