from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Optional as _Optional

DESCRIPTOR: _descriptor.FileDescriptor

class ErrorDetail(_message.Message):
    __slots__ = ("kind", "cause", "remedy", "incident")
    KIND_FIELD_NUMBER: _ClassVar[int]
    CAUSE_FIELD_NUMBER: _ClassVar[int]
    REMEDY_FIELD_NUMBER: _ClassVar[int]
    INCIDENT_FIELD_NUMBER: _ClassVar[int]
    kind: str
    cause: str
    remedy: str
    incident: str
    def __init__(self, kind: _Optional[str] = ..., cause: _Optional[str] = ..., remedy: _Optional[str] = ..., incident: _Optional[str] = ...) -> None: ...
