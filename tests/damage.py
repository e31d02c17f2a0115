"""Damage to annotation and prediction files, the same for the same generator."""

from __future__ import annotations

import json
import random
import re
from typing import Any

NUMBERS = (
    *('nan', '-nan', 'inf', '-inf', '1e308', '-1e308', '1e9999', '0', '-0', '-1', '0.5', '1e-320', '9' * 5000),
    *(
        '\N{ARABIC-INDIC DIGIT THREE}',
        '1_0',
        '0x10',
        '',
        'Unspecified',
        'x',
        '%s%n',
        '2147483648',
        '18446744073709551616',
        '\0',
        '\N{FULLWIDTH DIGIT ONE}',
    ),
)
"""What stands in place of a number."""
VALUES = (
    *(None, True, False, [], {}, '', 'x', 'x' * 2000, 0, -1, 0.5, 2**31, 10**30, 1e300, float('nan'), float('inf')),
    *([[[]]], {'id': 1}, [1, 2, 3], '../../x.jpg', 'a\0b', '1', [None] * 4, ['1', '2', '3', '4']),
)
"""What stands in place of a value in JSON."""
LINES = (
    '',
    ' ' * 300,
    'x' * 20000,
    '1 ' * 20000,
    '0 0 0 0 0 0 0 0 0 0',
    '<a>' * 300,
    '[' * 2000,
    '\ufeff',
    '\r',
    '1\n',
)


def damaged(content: bytes, rng: random.Random) -> bytes:
    """The content after one to three mutations of its values, words, lines or bytes."""
    for _ in range(rng.randint(1, 3)):
        try:
            content.decode()
        except UnicodeDecodeError:
            return _bytes(content, rng)
        content = rng.choices((_value, _word, _line, _bytes), (4, 4, 2, 1))[0](content, rng)
    return content


def _value(content: bytes, rng: random.Random) -> bytes:
    """Another value, or none, at one place of a JSON document; other files lose or change a word."""
    try:
        document = json.loads(content)
    except (ValueError, RecursionError):
        return _word(content, rng)
    holder = {'all': document}
    places = list(_places(holder))
    here, key = rng.choice(places)
    if rng.random() < 0.3 and here is not holder:
        del here[key]
    elif rng.random() < 0.2 and isinstance(here[key], list) and here[key]:
        here[key].append(rng.choice(here[key]))
    else:
        here[key] = rng.choice(VALUES)
    return json.dumps(holder['all'], ensure_ascii=rng.random() < 0.5).encode('utf-8', 'surrogatepass')


def _places(here: Any) -> Any:
    """All (container, key) of a document."""
    for key in list(here) if isinstance(here, dict) else range(len(here)):
        yield here, key
        if isinstance(here[key], (dict, list)):
            yield from _places(here[key])


def _word(content: bytes, rng: random.Random) -> bytes:
    """A number or a word replaced, doubled or taken out."""
    text = content.decode()
    words = list(re.finditer(r'-?\d+(?:\.\d+)?|[^\s<>,:"{}\[\]]+', text))
    if not words:
        return _line(content, rng)
    word = rng.choice(words)
    new = rng.choice((*NUMBERS, f'{word[0]} {word[0]}', ''))
    return (text[: word.start()] + new + text[word.end() :]).encode('utf-8', 'surrogatepass')


def _line(content: bytes, rng: random.Random) -> bytes:
    """A line taken out, doubled, moved, cut off or put in."""
    lines = content.decode().split('\n')
    place = rng.randrange(len(lines))
    kind = rng.randrange(5)
    if kind == 0:
        del lines[place]
    elif kind == 1:
        lines[place:place] = [lines[place]] * rng.choice((1, 200))
    elif kind == 2:
        rng.shuffle(lines)
    elif kind == 3:
        lines[place] = lines[place][: rng.randrange(len(lines[place]) + 1)]
    else:
        lines.insert(place, rng.choice(LINES))
    return '\n'.join(lines).encode('utf-8', 'surrogatepass')


def _bytes(content: bytes, rng: random.Random) -> bytes:
    """Bytes changed or cut off, another encoding, or other content altogether."""
    kind = rng.randrange(6)
    if kind == 0:
        return content[: rng.randrange(len(content) + 1)]
    if kind == 1:
        return content.decode('utf-8', 'replace').encode('utf-16', 'replace')
    if kind == 2:
        return b'\xef\xbb\xbf' + content
    if kind == 3:
        return rng.choice((b'', b'\n', b'{}', b'[]', b'null', b'<html></html>', b'PK\3\4', b'\xff\xd8\xff', bytes(64)))
    changed = bytearray(content)
    for _ in range(rng.randint(1, 4)):
        if changed:
            changed[rng.randrange(len(changed))] = rng.randrange(256)
    return bytes(changed)
