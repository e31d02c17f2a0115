"""Sphinx roles of docstrings, such as ``:class:`Tap```, as plain code: mkdocstrings shows them as they are."""

import re


def on_page_content(html: str, **_: object) -> str:
    """The page without the names of the roles."""
    return re.sub(r':\w+:(?=<code>)', '', html)
