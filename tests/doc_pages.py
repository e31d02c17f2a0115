"""The README, CONTRIBUTING.md and the pages of docs/, as text."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
README, CHINESE = 'README.md', 'README_zh-CN.md'
DOCS = sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / 'docs').rglob('*.md'))
PAGES = {name: (ROOT / name).read_text(encoding='utf-8') for name in (README, CHINESE, 'CONTRIBUTING.md', *DOCS)}
ALL = '\n'.join(PAGES.values())


def blocks(language: str, text: str = ALL) -> list[str]:
    return re.findall(rf'^```{language}\n(.*?)^```$', text, re.MULTILINE | re.DOTALL)
