"""Just enough HTTP/2 (RFC 9113) to misuse it: frames by hand over a plain socket."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterable

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, PING, CONTINUATION = 0, 1, 3, 4, 6, 9
END_STREAM, END_HEADERS = 1, 4


def frame(kind: int, payload: bytes = b"", flags: int = 0, stream: int = 0) -> bytes:
    """One frame (section 4.1)."""
    return struct.pack(">I", len(payload))[1:] + bytes((kind, flags)) + struct.pack(">I", stream) + payload


def header_block(headers: Iterable[tuple[str, str]]) -> bytes:
    """Headers as HPACK literals that are never indexed nor compressed (RFC 7541, 6.2.2)."""
    return b"".join(b"\x00" + _text(name) + _text(value) for name, value in headers)


def request_headers(method: str, *more: tuple[str, str]) -> bytes:
    """The headers of a gRPC call."""
    pseudo = ((":method", "POST"), (":scheme", "http"), (":path", method), (":authority", "localhost"))
    return header_block((*pseudo, ("content-type", "application/grpc"), ("te", "trailers"), *more))


def connect(address: tuple[str, int], timeout: float = 30.0) -> socket.socket:
    """A connection that has said hello."""
    found = socket.create_connection(address, timeout)
    found.sendall(PREFACE + frame(SETTINGS))
    return found


def drained(connection: socket.socket, seconds: float) -> bool:
    """Reads what comes for that long at most; True where the other side has closed the connection."""
    connection.settimeout(seconds)
    try:
        while connection.recv(65_536):
            pass
    except TimeoutError:
        return False
    except OSError:
        return True
    return True


def _text(text: str) -> bytes:
    data = text.encode()
    length = len(data)
    if length < 127:
        return bytes((length,)) + data
    # An integer that does not fit into the seven bits of its first byte (RFC 7541, 5.1).
    rest, encoded = length - 127, bytearray((127,))
    while rest >= 128:
        encoded.append(rest % 128 + 128)
        rest //= 128
    encoded.append(rest)
    return bytes(encoded) + data
