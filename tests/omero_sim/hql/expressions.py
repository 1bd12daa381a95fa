"""Reads the expressions of a query, from the loosest binding (or) to the tightest (a name, a number, brackets)."""

from __future__ import annotations

from omero_sim.hql import parser
from omero_sim.hql.reader import Reader
from omero_sim.hql.tree import (
    Binary,
    Call,
    Case,
    Compare,
    Exists,
    Expression,
    In,
    IsNull,
    Like,
    Literal,
    Logic,
    Not,
    Param,
    Path,
    Subquery,
)

COMPARISONS = ("=", "<>", "!=", "<=", ">=", "<", ">")
CONSTANTS = {"true": True, "false": False, "null": None}


def read(reader: Reader) -> Expression:
    """One expression."""
    left = _both(reader)
    while reader.accept("or"):
        left = Logic("or", left, _both(reader))
    return left


def read_list(reader: Reader) -> tuple[Expression, ...]:
    """Expressions with commas between them."""
    found = [read(reader)]
    while reader.accept(","):
        found.append(read(reader))
    return tuple(found)


def _both(reader: Reader) -> Expression:
    left = _negation(reader)
    while reader.accept("and"):
        left = Logic("and", left, _negation(reader))
    return left


def _negation(reader: Reader) -> Expression:
    return Not(_negation(reader)) if reader.accept("not") else _comparison(reader)


def _comparison(reader: Reader) -> Expression:
    if reader.accept("exists"):
        reader.expect("(")
        query = parser.read_query(reader)
        reader.expect(")")
        return Exists(query)
    left = _sum(reader)
    if reader.accept("is"):
        negated = reader.accept("not")
        reader.expect("null")
        return IsNull(left, negated)
    for sign in COMPARISONS:
        if reader.accept(sign):
            return Compare("<>" if sign == "!=" else sign, left, _sum(reader))
    negated = reader.at("not")
    reader.accept("not")
    found = _membership(reader, left)
    if found is None:
        if negated:
            raise reader.error()
        return left
    return Not(found) if negated else found


def _membership(reader: Reader, left: Expression) -> Expression | None:
    if reader.accept("in"):
        return In(left, _items(reader))
    if reader.at("like", "ilike"):
        any_case = reader.take().value == "ilike"
        return Like(left, _sum(reader), any_case)
    if reader.accept("between"):
        low = _sum(reader)
        reader.expect("and")
        return Logic("and", Compare(">=", left, low), Compare("<=", left, _sum(reader)))
    if reader.accept("member"):
        reader.accept("of")
        return In(left, (_atom(reader),))
    return None


def _items(reader: Reader) -> tuple[Expression, ...]:
    if not reader.accept("("):
        return (_atom(reader),)
    if reader.at("select", "from"):
        items: tuple[Expression, ...] = (Subquery(parser.read_query(reader)),)
    else:
        items = read_list(reader)
    reader.expect(")")
    return items


def _sum(reader: Reader) -> Expression:
    left = _product(reader)
    while reader.at("+", "-", "||"):
        left = Binary(reader.take().written, left, _product(reader))
    return left


def _product(reader: Reader) -> Expression:
    left = _atom(reader)
    while reader.at("*", "/"):
        left = Binary(reader.take().written, left, _atom(reader))
    return left


def _atom(reader: Reader) -> Expression:
    word = reader.peek()
    if word.kind in ("number", "text", "param"):
        reader.take()
        return Param(str(word.value)) if word.kind == "param" else Literal(word.value)
    if word.kind == "keyword" and word.value in CONSTANTS:
        reader.take()
        return Literal(CONSTANTS[str(word.value)])
    if reader.accept("-"):
        return Binary("-", Literal(0), _atom(reader))
    if reader.accept("case"):
        return _case(reader)
    if reader.accept("("):
        inner = Subquery(parser.read_query(reader)) if reader.at("select", "from") else read(reader)
        reader.expect(")")
        return inner
    names = reader.path()
    return _call(reader, names[0]) if len(names) == 1 and reader.accept("(") else Path(names)


def _call(reader: Reader, name: str) -> Expression:
    distinct = reader.accept("distinct")
    arguments: tuple[Expression, ...] = ()
    if not reader.accept("*") and not reader.at(")"):
        arguments = read_list(reader)
    if name.lower() == "cast":
        reader.expect("as")
        arguments = (*arguments, Literal(reader.name()))
    reader.expect(")")
    return Call(name.lower(), arguments, distinct)


def _case(reader: Reader) -> Expression:
    branches = []
    while reader.accept("when"):
        condition = read(reader)
        reader.expect("then")
        branches.append((condition, read(reader)))
    otherwise = read(reader) if reader.accept("else") else Literal(None)
    reader.expect("end")
    return Case(tuple(branches), otherwise)
