"""Image references, voxel sizes and triples of voxels on the wire."""

from __future__ import annotations

from noyau.domain.errors import InvalidInput
from noyau.domain.geometry import Index3, VoxelSize
from noyau.domain.image import ImageRef
from noyau.v1 import image_pb2


def size_to_wire(size: Index3 | None) -> image_pb2.Size3 | None:
    return None if size is None else image_pb2.Size3(z=size[0], y=size[1], x=size[2])


def size_from_wire(message: image_pb2.Size3) -> Index3:
    return (message.z, message.y, message.x)


def voxel_size_to_wire(size: VoxelSize | None) -> image_pb2.VoxelSize | None:
    return None if size is None else image_pb2.VoxelSize(z=size.z, y=size.y, x=size.x)


def voxel_size_from_wire(message: image_pb2.VoxelSize) -> VoxelSize:
    """Raises InvalidInput for a size that is not positive."""
    return VoxelSize(message.z, message.y, message.x)


def channel_to_wire(channel: int | str) -> image_pb2.ChannelRef:
    return image_pb2.ChannelRef(name=channel) if isinstance(channel, str) else image_pb2.ChannelRef(index=channel)


def channel_from_wire(message: image_pb2.ChannelRef) -> int | str:
    """Raises InvalidInput where neither an index nor a name is given."""
    which = message.WhichOneof("channel")
    if which is None:
        raise InvalidInput("A channel is given without index and name.", "Give one of the two.")
    return message.name if which == "name" else message.index


def image_to_wire(ref: ImageRef) -> image_pb2.ImageRef:
    message = image_pb2.ImageRef(uri=ref.uri, level=ref.level)
    if isinstance(ref.channel, str):
        message.channel_name = ref.channel
    elif ref.channel is not None:
        message.channel_index = ref.channel
    if ref.time is not None:
        message.time.CopyFrom(image_pb2.TimeRange(first=ref.time[0], last=ref.time[1]))
    return message


def image_from_wire(message: image_pb2.ImageRef) -> ImageRef:
    which = message.WhichOneof("channel")
    channel: int | str | None = None
    if which is not None:
        channel = message.channel_name if which == "channel_name" else message.channel_index
    time = (message.time.first, message.time.last) if message.HasField("time") else None
    return ImageRef(uri=message.uri, channel=channel, time=time, level=message.level)
