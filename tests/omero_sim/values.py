"""Between what the database keeps (plain Python) and what travels (OMERO's wire types)."""

from __future__ import annotations

from typing import Any

import omero
import omero.model
from omero import rtypes
from omero.model import enums

from omero_sim.records import Quantity
from omero_sim.schema import Field

WRAPPERS = {
    "RBool": rtypes.rbool,
    "RDouble": rtypes.rdouble,
    "RInt": rtypes.rint,
    "RLong": rtypes.rlong,
    "RString": rtypes.rstring,
    "RTime": rtypes.rtime,
}


def to_wire(field: Field, value: Any) -> Any:
    """The value of a property as a client's object holds it."""
    if value is None:
        return None
    if field.kind == "unit":
        return quantity_to_wire(value)
    if field.target == "NamedValueList":
        return [omero.model.NamedValue(name, text) for name, text in value]
    return WRAPPERS[field.target](value) if field.target in WRAPPERS else value


def from_wire(field: Field, value: Any) -> Any:
    """What the database keeps of the property of a client's object.

    Raises:
        TypeError: The value has another wire type than the property.
    """
    if value is None:
        return None
    if field.kind == "unit":
        return Quantity(field.target, float(value._value), str(value._unit))
    if field.target == "NamedValueList":
        return tuple((pair.name, pair.value) for pair in value if pair is not None)
    if field.target == "ByteSeq":
        return bytes(value)
    if field.target not in WRAPPERS:
        return value
    if not isinstance(value, getattr(omero, field.target)):
        raise TypeError(f"{field.name} is {type(value).__name__}, not {field.target}")
    return value._val


def quantity_to_wire(value: Quantity) -> Any:
    """A number with its unit as the client's class for that kind of quantity."""
    units = getattr(enums, f"Units{value.kind}")
    return getattr(omero.model, f"{value.kind}I")(value.value, getattr(units, value.unit))


def plain(value: Any) -> Any:
    """A query's parameter without its wrapping, lists with all they hold."""
    if isinstance(value, omero.RCollection):
        return [plain(item) for item in value._val or []]
    if isinstance(value, omero.RMap):
        return {key: plain(item) for key, item in (value._val or {}).items()}
    if isinstance(value, omero.RObject):
        return value._val
    return value._val if isinstance(value, omero.RType) else value


def wrapped(value: Any, wire: str = "") -> Any:
    """A result of a query in the wire type of its column, or in the one that its Python type suggests."""
    if value is None or isinstance(value, omero.RType):
        return value
    if wire in WRAPPERS:
        return WRAPPERS[wire](value)
    if isinstance(value, Quantity):
        unit = rtypes.rstring(value.unit)
        symbol = rtypes.rstring(quantity_to_wire(value).getSymbol())
        return rtypes.rmap({"value": rtypes.rdouble(value.value), "unit": unit, "symbol": symbol})
    if isinstance(value, bool):
        return rtypes.rbool(value)
    if isinstance(value, int):
        return rtypes.rlong(value)
    if isinstance(value, float):
        return rtypes.rdouble(value)
    if isinstance(value, tuple):
        return rtypes.rlist([rtypes.rmap({"name": rtypes.rstring(n), "value": rtypes.rstring(v)}) for n, v in value])
    return rtypes.rstring(str(value))


def entity_of(instance: Any) -> str:
    """Class name of a client's object, without module and without the I of the implementation."""
    return str(instance.ice_id()).rsplit("::", 1)[1]


def entity_named(name: str) -> str:
    """Class name from any form that clients send: `Image`, `ImageI`, `omero.model.Image`, `ome.model.core.Image`."""
    from omero_sim import schema

    short = name.rsplit(".", 1)[-1].rsplit("::", 1)[-1]
    if not schema.is_entity(short) and short.endswith("I"):
        short = short[:-1]
    return short
