"""Cuts the text of a query into words."""

from __future__ import annotations

import re
from dataclasses import dataclass

from omero_sim.errors import bad_query

PATTERN = re.compile(
    r"\s*(?:(?P<number>\d+\.\d+|\d+)[lL]?|'(?P<text>(?:[^']|'')*)'|:(?P<param>\w+)|(?P<word>[A-Za-z_][\w$]*)"
    r"|(?P<sign><>|!=|<=|>=|\|\||[=<>(),.*+\-/]))"
)
KEYWORDS = frozenset(
    [
        "select",
        "distinct",
        "from",
        "as",
        "left",
        "right",
        "inner",
        "outer",
        "join",
        "fetch",
        "with",
        "where",
        "group",
        "order",
        "by",
        "having",
        "and",
        "or",
        "not",
        "in",
        "is",
        "null",
        "like",
        "ilike",
        "between",
        "exists",
        "asc",
        "desc",
        "new",
        "case",
        "when",
        "then",
        "else",
        "end",
        "true",
        "false",
        "member",
        "of",
    ]
)


@dataclass(frozen=True)
class Token:
    """A word of a query.

    Attributes:
        kind: "number", "text", "param", "word", "keyword", "sign" or, after the last one, "end".
        value: What it says; keywords in lower case.
        written: As it stands in the text.
    """

    kind: str
    value: object
    written: str


def tokens(query: str) -> tuple[Token, ...]:
    """The words of a query, and a last one that marks the end.

    Raises:
        omero.QueryException: There is a character that no query has.
    """
    found, position, query = [], 0, query.rstrip()
    while position < len(query):
        match = PATTERN.match(query, position)
        if match is None or match.lastgroup is None:
            raise bad_query(f"unexpected char: '{query[position : position + 1]}' [{query}]")
        found.append(_token(match.lastgroup, match[match.lastgroup]))
        position = match.end()
    return (*found, Token("end", "", "end of query"))


def _token(kind: str, written: str) -> Token:
    if kind == "number":
        return Token(kind, float(written) if "." in written else int(written), written)
    if kind == "text":
        return Token(kind, written.replace("''", "'"), written)
    if kind == "word" and written.lower() in KEYWORDS:
        return Token("keyword", written.lower(), written)
    return Token(kind, written, written)
