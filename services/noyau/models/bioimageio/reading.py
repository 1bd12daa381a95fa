"""What we take of the description of another maker's model (bioimage.io model description 0.5)."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from noyau.domain.errors import InvalidInput

SPATIAL = ("z", "y", "x")
_INTEGER = ("int", "uint", "bool")


class _Part(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class File(_Part):
    """A file of the archive; `sha256` is checked where it is given."""

    source: str
    sha256: str | None = None


class Parameterised(_Part):
    """Sizes min, min + step, ..."""

    min: int = Field(gt=0, le=4096)
    step: int = Field(gt=0, le=4096)


class Reference(_Part):
    """The size of another axis."""

    tensor_id: str
    axis_id: str
    offset: int = 0


class Axis(_Part):
    """One axis of a tensor."""

    type: str
    id: str = ""
    size: int | Parameterised | Reference | None = None
    halo: int = Field(default=0, ge=0, le=512)
    scale: float = Field(default=1.0, gt=0)
    unit: str | None = None
    channel_names: list[str] | str | None = None

    @property
    def name(self) -> str:
        """Its id; batch and channel axes need none."""
        return self.id or (self.type if self.type in ("batch", "channel") else "")


class Processing(_Part):
    """A processing step."""

    id: str
    kwargs: dict[str, Any] = Field(default_factory=dict)


class Values(_Part):
    """What the values of a tensor are."""

    type: str = "float32"


class Tensor(_Part):
    """An input or output."""

    id: str = ""
    description: str = ""
    optional: bool = False
    axes: list[Axis] = Field(max_length=8)
    data: Values | list[Values] = Values()
    test_tensor: File | None = None
    preprocessing: list[Processing] = Field(default_factory=list, max_length=20)
    postprocessing: list[Processing] = Field(default_factory=list, max_length=20)

    @property
    def dtype(self) -> str:
        """Type of the values."""
        values = self.data[0] if isinstance(self.data, list) else self.data
        return values.type

    @property
    def axis_names(self) -> list[str]:
        """Names of the axes in order."""
        return [axis.name for axis in self.axes]

    @property
    def channels(self) -> list[str]:
        """Names of the channels; one for a tensor without channel axis."""
        names = next((axis.channel_names for axis in self.axes if axis.type == "channel"), None)
        if names is None:
            return [self.id or "output"]
        return [names] if isinstance(names, str) else names

    @property
    def is_integer(self) -> bool:
        """Whether the values are whole numbers after the post-processing."""
        last = self.postprocessing[-1] if self.postprocessing else None
        final = str(last.kwargs.get("dtype", "")) if last and last.id == "ensure_dtype" else self.dtype
        return final.startswith(_INTEGER)


class Architecture(_Part):
    """The class of a network: of a library, or of a file in the archive."""

    callable: str
    source: str | None = None
    import_from: str | None = None
    kwargs: dict[str, Any] = Field(default_factory=dict)


class Weights(_Part):
    """One set of weights."""

    source: str
    sha256: str | None = None
    architecture: Architecture | None = None
    external_data: File | None = None

    @property
    def file(self) -> File:
        """Its file."""
        return File(source=self.source, sha256=self.sha256)


class AllWeights(_Part):
    """The sets that we know how to run; others are left out."""

    pytorch_state_dict: Weights | None = None
    onnx: Weights | None = None
    torchscript: Weights | None = None


class Person(_Part):
    """An author."""

    name: str


class Citation(_Part):
    """Something to cite."""

    text: str
    doi: str | None = None
    url: str | None = None


class Description(_Part):
    """A model."""

    type: Literal["model"]
    name: str = Field(max_length=256)
    version: str | int | float | None = None
    description: str = ""
    license: str | None = None
    authors: list[Person] = Field(default_factory=list)
    cite: list[Citation] = Field(default_factory=list)
    documentation: File | str | None = None
    inputs: list[Tensor] = Field(min_length=1, max_length=16)
    outputs: list[Tensor] = Field(min_length=1, max_length=16)
    weights: AllWeights
    id: str | None = None


def parse(document: dict[str, Any], where: str) -> Description:
    """The description in a document.

    Raises:
        InvalidInput: it is not of the format; the message names the first place that is not.
    """
    try:
        return Description.model_validate(document)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])[:100]
        raise InvalidInput(
            f"The description in '{where}' does not follow bioimage.io 0.5 at '{place}': {first['msg']}.",
            "Test the archive with `bioimageio test`.",
        ) from error
