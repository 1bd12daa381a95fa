"""Tensors of the Open Inference Protocol: numpy arrays in and out, raw or typed contents."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from noyau.domain.errors import InvalidInput
from noyau.oip import open_inference_pb2 as oip

DATATYPES: dict[str, np.dtype[Any]] = {"FP32": np.dtype("<f4"), "UINT16": np.dtype("<u2"), "UINT8": np.dtype("uint8")}
"""Types of the input `image`."""

_CONTENTS = {"FP32": "fp32_contents", "UINT16": "uint_contents", "UINT8": "uint_contents"}


def image_tensor(request: oip.ModelInferRequest) -> np.ndarray:
    """The input `image` as a (z, y, x) or (y, x) array in native order.

    Raises:
        InvalidInput: another input, type or shape than the model metadata names, or contents that do not fit.
    """
    names = [tensor.name for tensor in request.inputs]
    if names != ["image"]:
        raise InvalidInput(f"The inputs are {names}; exactly one input named 'image' is taken.")
    tensor = request.inputs[0]
    dtype = DATATYPES.get(tensor.datatype)
    if dtype is None:
        raise InvalidInput(
            f"The input 'image' has the type '{tensor.datatype}'.", f"Send one of {', '.join(DATATYPES)}."
        )
    shape = tuple(tensor.shape)
    if len(shape) not in (2, 3) or min(shape) < 1:
        raise InvalidInput(f"The input 'image' has the shape {list(shape)}.", "Send [Z, Y, X] or [Y, X].")
    values = _from_raw(request, dtype) if request.raw_input_contents else _from_contents(tensor, dtype)
    if values.size != prod(shape):
        raise InvalidInput(f"The input 'image' has {values.size} values, but its shape {list(shape)} needs others.")
    return values.reshape(shape).astype(dtype.newbyteorder("="), copy=False)


def _from_raw(request: oip.ModelInferRequest, dtype: np.dtype) -> np.ndarray:
    if len(request.raw_input_contents) != 1 or request.inputs[0].HasField("contents"):
        raise InvalidInput("raw_input_contents needs one entry for the one input, and no typed contents beside it.")
    data = request.raw_input_contents[0]
    if len(data) % dtype.itemsize:
        raise InvalidInput(f"The input 'image' has {len(data)} bytes, which is no whole number of {dtype.name}.")
    return np.frombuffer(data, dtype=dtype)


def _from_contents(tensor: oip.ModelInferRequest.InferInputTensor, dtype: np.dtype) -> np.ndarray:
    values = np.array(getattr(tensor.contents, _CONTENTS[tensor.datatype]), dtype="f4" if dtype.kind == "f" else "u4")
    if dtype.kind == "u" and values.size and values.max() > np.iinfo(dtype).max:
        raise InvalidInput(f"A value of the input 'image' does not fit into {tensor.datatype}.")
    return values.astype(dtype)


def infer_response(
    request: oip.ModelInferRequest, name: str, version: str, outputs: Sequence[tuple[str, np.ndarray]]
) -> oip.ModelInferResponse:
    """Outputs in the order given: raw when the request was raw, else typed. `labels` is UINT32, the rest FP32."""
    response = oip.ModelInferResponse(model_name=name, model_version=version, id=request.id)
    raw = bool(request.raw_input_contents)
    for output_name, values in outputs:
        is_labels = values.dtype.kind == "u"
        tensor = response.outputs.add(name=output_name, datatype="UINT32" if is_labels else "FP32", shape=values.shape)
        if raw:
            response.raw_output_contents.append(
                np.ascontiguousarray(values, dtype="<u4" if is_labels else "<f4").tobytes()
            )
        elif is_labels:
            tensor.contents.uint_contents.extend(values.ravel().tolist())
        else:
            tensor.contents.fp32_contents.extend(values.ravel().tolist())
    return response
