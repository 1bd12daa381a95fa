"""Conversion between protobuf messages and domain values, for `api` and `client`; nothing else looks at messages.

Functions come in pairs: `x_to_wire` takes a domain value, `x_from_wire` a message. Both are total: every domain value
survives the way there and back, and every message gives a domain value or an InvalidInput.
"""
