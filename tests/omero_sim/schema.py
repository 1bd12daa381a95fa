"""The object model, read from the classes that omero-py generated from OMERO's own definitions.

Nothing about the model is written down here: entities, fields, their types, the far ends of collections and the columns
that may not be null all come from the text of the generated modules.
"""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

# What every object has and no table stores as a column of its own.
HOUSEKEEPING = {"id", "details", "loaded", "version"}
ROOT = "IObject"

CLASS = re.compile(
    r"_t_\w+ = IcePy\.defineClass\('::omero::model::(\w+)', \w+, -1, \(\), \w+, \w+, "
    r"(None|[\w.]+), \(\), \((.*?)\n?\s*\)\)\n",
    re.S,
)
MEMBER = re.compile(r"\('_(\w+)', \(\), ([\w.]+), \w+, 0\)")
SEQUENCE = re.compile(r"defineSequence\('::omero::model::(\w+)', \([^)]*\), _M_omero\.model\._t_(\w+)\)")
FAR_END = re.compile(r"self\._(\w+)Seq\.append\( target \);?\s*target\.set(\w+)\( self \)")
NOT_NULL = re.compile(r"^          (\w+)=_field_info_data\(wrapper=[\w.]+, nullable=False\)", re.M)
GLOBAL = re.compile(r"def isGlobal\(self, current = None\):\s*return\s+True")


@dataclass(frozen=True)
class Field:
    """A property of an entity.

    Attributes:
        name: As in HQL.
        kind: "value" (a number, text, bytes), "unit" (a quantity), "entity" (another object), "collection" (many of
        them). target: Wire type of a value (`RInt`), class of a quantity, or entity at the other end.
        required: Whether the column may not be null.
        inverse: For a collection, the property of the elements that points back; empty where there is none.
    """

    name: str
    kind: str
    target: str
    required: bool = False
    inverse: str = ""


@dataclass(frozen=True)
class _Definition:
    base: str | None
    members: dict[str, str]


@cache
def entities() -> frozenset[str]:
    """Every class of objects that have an id."""
    return frozenset(name for name in _definitions() if name != ROOT and ROOT in tuple(ancestors(name)))


@cache
def is_entity(name: str) -> bool:
    """Whether there are objects of this class."""
    return name in entities()


def ancestors(name: str) -> Iterator[str]:
    """The class itself, then its bases up to the root."""
    current: str | None = name
    while current in _definitions():
        yield current
        current = _definitions()[current].base


@cache
def is_a(name: str, base: str) -> bool:
    """Whether objects of class `name` are found when asking for `base`."""
    return base in tuple(ancestors(name))


@cache
def table_of(name: str) -> str:
    """Name of the class at the top of the hierarchy: its members share their ids."""
    return [a for a in ancestors(name) if a != ROOT][-1]


@cache
def is_global(name: str) -> bool:
    """Whether objects of this class belong to nobody: enumerations, users, groups, events, sessions."""
    return name in _globals()


@cache
def is_enumeration(name: str) -> bool:
    """Whether the class is a closed list of values that the server made at installation."""
    return name in _globals() and "value" in fields(name)


@cache
def is_link(name: str) -> bool:
    """Whether objects of this class do nothing but join a parent and a child."""
    return name.endswith("Link") and {"parent", "child"} <= fields(name).keys()


@cache
def fields(name: str) -> dict[str, Field]:
    """The properties of an entity, those of its bases first."""
    found: dict[str, Field] = {}
    for owner in reversed(list(ancestors(name))):
        for member, wire in _definitions()[owner].members.items():
            field = _field(name, member, wire)
            if field is not None:
                found[field.name] = field
    return found


@cache
def property_of(name: str, member: str) -> Field | None:
    """The property in a query: of the class, else, as Hibernate has it, of one of its subclasses."""
    if member in fields(name):
        return fields(name)[member]
    below = (c for c in sorted(entities()) if is_a(c, name) and member in fields(c))
    return next((fields(c)[member] for c in below), None)


@cache
def references_to(name: str) -> tuple[tuple[str, Field], ...]:
    """Classes and their properties that may point at an object of class `name`."""
    return tuple(
        (owner, field)
        for owner in sorted(entities())
        for field in fields(owner).values()
        if field.kind == "entity" and is_a(name, field.target)
    )


def _field(entity: str, member: str, wire: str) -> Field | None:
    if member in HOUSEKEEPING or member.endswith(("Loaded", "CountPerOwner")):
        return None
    if member.endswith("Seq"):
        target = _sequences().get(wire, "")
        if target not in entities():
            return None
        return Field(member[:-3], "collection", target, inverse=_far_end(entity, member[:-3], target))
    required = any((a, member) in _not_null() for a in ancestors(entity))
    if wire in entities():
        return Field(member, "entity", wire, required)
    return Field(member, "unit" if wire in _definitions() else "value", wire, required)


def _far_end(entity: str, collection: str, target: str) -> str:
    for owner in ancestors(entity):
        if (owner, collection) in _far_ends():
            return _far_ends()[owner, collection]
    # Collections that clients cannot append to: the one property of the elements with the right type.
    members = _definitions()[target].members.items()
    return next((m for m, wire in members if wire in entities() and is_a(entity, wire)), "")


def _texts(pattern: str) -> Iterator[tuple[str, str]]:
    found = importlib.util.find_spec("omero")
    if found is None or found.origin is None:
        raise ModuleNotFoundError("omero-py is not installed")
    folder = Path(found.origin).parents[1]
    for path in sorted(folder.glob(pattern)):
        yield path.stem, path.read_text(encoding="utf-8")


@cache
def _definitions() -> dict[str, _Definition]:
    found = {}
    for _, text in _texts("omero_*_ice.py"):
        for name, base, members in CLASS.findall(text):
            parent = None if base == "None" else base.rsplit("_t_", 1)[1]
            found[name] = _Definition(parent, {m: wire.rsplit("_t_", 1)[1] for m, wire in MEMBER.findall(members)})
    return found


@cache
def _sequences() -> dict[str, str]:
    return {name: target for _, text in _texts("omero_*_ice.py") for name, target in SEQUENCE.findall(text)}


@cache
def _implementations() -> dict[str, str]:
    return {stem.removeprefix("omero_model_")[:-1]: text for stem, text in _texts("omero_model_*I.py")}


@cache
def _far_ends() -> dict[tuple[str, str], str]:
    return {
        (name, collection): back[0].lower() + back[1:]
        for name, text in _implementations().items()
        for collection, back in FAR_END.findall(text)
    }


@cache
def _not_null() -> frozenset[tuple[str, str]]:
    return frozenset((name, column) for name, text in _implementations().items() for column in NOT_NULL.findall(text))


@cache
def _globals() -> frozenset[str]:
    people = {"Experimenter", "ExperimenterGroup", "Event", "EventLog", "Session", "GroupExperimenterMap", "Node"}
    return frozenset(
        people | {"DBPatch", "Namespace"} | {n for n, text in _implementations().items() if GLOBAL.search(text)}
    )
