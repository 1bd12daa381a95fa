"""A place in the words of a query, and steps from there."""

from __future__ import annotations

from omero_sim.errors import bad_query
from omero_sim.hql.lexer import Token


class Reader:
    """Goes through the words from left to right."""

    def __init__(self, words: tuple[Token, ...], text: str) -> None:
        self._words = words
        self._next = 0
        self._text = text

    def peek(self, ahead: int = 0) -> Token:
        """The next word, which stays the next one."""
        return self._words[min(self._next + ahead, len(self._words) - 1)]

    def take(self) -> Token:
        """The next word; the one after it is next then."""
        word = self.peek()
        self._next += 1
        return word

    def at(self, *values: str) -> bool:
        """Whether the next word is one of these keywords or signs."""
        return self.peek().kind in ("keyword", "sign") and self.peek().value in values

    def accept(self, value: str) -> bool:
        """Whether the next word is this keyword or sign; if so it is taken."""
        found = self.at(value)
        self._next += found
        return found

    def expect(self, value: str) -> None:
        """Takes a keyword or sign.

        Raises:
            omero.QueryException: Something else is there.
        """
        if not self.accept(value):
            raise self.error()

    def name(self) -> str:
        """Takes a name. Words of the language are names too where nothing else can stand.

        Raises:
            omero.QueryException: Something else is there.
        """
        if self.peek().kind not in ("word", "keyword"):
            raise self.error()
        return self.take().written

    def path(self) -> tuple[str, ...]:
        """Takes names with dots between them."""
        names = [self.name()]
        while self.accept("."):
            names.append(self.name())
        return tuple(names)

    def error(self) -> Exception:
        """That the next word cannot stand where it is."""
        return bad_query(f"unexpected token: {self.peek().written} [{self._text}]")
