"""What must not be shown: passwords in addresses of databases and on command lines.

Whatever shows an address or a command line, to a person or in a file, takes its text from here.
"""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING
from urllib.parse import unquote

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["HIDDEN", "address_and_query", "command_line", "passwords_in", "without_passwords"]

HIDDEN = "***"
_ADDRESS = re.compile(r"((?:^|[^\w+.-])[A-Za-z][\w+.-]*://)(.*)", re.DOTALL)
_ADDRESS_IN_TEXT = re.compile(r"((?:^|[^\w+.-])[A-Za-z][\w+.-]*://)([^\s'\"<>]*)")
# `postgresql:me:secret@host`, where the slashes were forgotten.
_NO_SLASHES = re.compile(r"((?:^|[^\w+.-])(?:postgres|mysql|mariadb|mssql|oracle|redis)[\w+]*:/?)(?!/)([^\s'\"<>]*@.*)")
_QUERY = re.compile(r"\?(?=[A-Za-z_][\w-]*=)")
_COLON = re.compile(":|%3a", re.IGNORECASE)
_KEY = r"[\w-]*(?:passw|pwd|secret|token)[\w-]*"
_PAIR = re.compile(rf"(?i)({_KEY}\s*=\s*)('[^']*'|\"[^\"]*\"|[^\s&;,'\"]+)")
_OPTION = re.compile(rf"(?i)-{{1,2}}{_KEY}")


def without_passwords(text: str, *, whole: bool = False) -> str:
    """Return a text with every password in it left out or replaced by three stars.

    Taken for a password are what stands between user and host of an address, however it is written, and the value of
    whatever is called password, passwd, pwd, secret or token. In doubt more is left out rather than less.

    Args:
        text: any text.
        whole: the text is one word, so an address in it goes to its end, blanks included.

    >>> without_passwords("postgresql://me:SECRET@host/study is gone")
    'postgresql://me@host/study is gone'
    >>> without_passwords("postgresql://host/study?user=me&password=SECRET")
    'postgresql://host/study?user=me&password=***'
    """
    text = (_ADDRESS if whole else _ADDRESS_IN_TEXT).sub(lambda match: match[1] + _shown(match[2]), text)
    text = _NO_SLASHES.sub(lambda match: match[1] + _shown(match[2]), text)
    return _PAIR.sub(rf"\1{HIDDEN}", text)


def command_line(words: Sequence[str]) -> str:
    """Return the words of a command line as a shell takes them, without passwords."""
    shown, before = [], ""
    for word in words:
        if before == "--storage" or word.startswith("--storage="):
            # Whatever stands here is an address, also where its scheme was forgotten.
            option, sign, value = word.rpartition("--storage=")
            hidden = without_passwords(value, whole=True)
            shown.append(option + sign + (hidden if "://" in value or "@" not in value else _shown(hidden)))
        else:
            shown.append(HIDDEN if _OPTION.fullmatch(before) else without_passwords(word, whole=True))
        before = word
    return shlex.join(shown)


def passwords_in(address: str) -> list[str]:
    """Return the passwords of an address, as they are written and as they are meant, the longest first."""
    main, query = address_and_query(address.partition("://")[2])
    found = _COLON.split(main.rpartition("@")[0], maxsplit=1)[1:]
    found += [pair[2] for pair in _PAIR.finditer(query)]
    return sorted({form for one in found for form in (one, unquote(one)) if form}, key=len, reverse=True)


def _shown(rest: str) -> str:
    """Return what follows ``scheme://`` without its password."""
    main, query = address_and_query(rest)
    authority = re.split("[/?#]", rest, maxsplit=1)[0]
    if "@" in main:
        user, _, host = main.rpartition("@")
        return f"{_COLON.split(user, maxsplit=1)[0]}@{host}{query}"
    name, _, port = authority.rpartition(":")
    if name.endswith("]") or not _COLON.search(authority) or not port or port.isdigit():
        return rest
    # No port: a password whose host was forgotten, or stands where it is taken for a question.
    return f"{_COLON.split(authority, maxsplit=1)[0]}:{HIDDEN}{rest.rpartition('@')[2] if '@' in rest else ''}"


def address_and_query(rest: str) -> tuple[str, str]:
    """Divide what follows the scheme of an address before its ``?key=value``."""
    match = _QUERY.search(rest)
    return (rest, "") if match is None else (rest[: match.start()], rest[match.start() :])
