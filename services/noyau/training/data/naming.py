"""What file names tell: which mask belongs to which image, and which images are of one specimen."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

_IMAGE_FOLDERS = {"images", "image", "img", "imgs", "raw", "rawimages"}
_LABEL_FOLDERS = {
    "masks", "mask", "labels", "label", "annotations", "groundtruth", "ground_truth", "gt", "instances",
    "segmentations", "points", "boxes",
}  # fmt: skip
_LABEL_END = re.compile(
    r"[_\-. ](?:cp_masks?|masks?|labels?|labeled|gt|seg|segmentation|annotations?|instances?|points?|boxes)$", re.I
)
_IMAGE_END = re.compile(r"[_\-. ](?:images?|img|raw)$", re.I)
_SUFFIX = re.compile(r"(?:\.ome)?\.(?:tiff?|npz|csv|geojson|zarr)$", re.I)
# The last part of a name that counts times, planes or parts of one specimen: t001, z12, frame_7, crop2.
_PART = re.compile(r"(?:^|[_\-. ]+)(?:t|z|y|x|time|timepoint|frame|slice|plane|crop|tile)[_\-]?\d+$", re.I)
# The last part of a name that may count views of one specimen, or may just number the images: s3, fov_2, 0042.
_VIEW = re.compile(r"[_\-. ]+(?:s|c|ch|f|site|field|fov|view|pos|position|roi)?[_\-]?\d+$", re.I)


def text_of(path: str | Path) -> str:
    """A name that can be printed and stored, though the bytes on disk may be no text."""
    return os.fsencode(str(path)).decode("utf-8", "replace")


def stem_of(path: Path) -> str:
    """The name without `.tif`, `.ome.tiff`, ..."""
    return text_of(_SUFFIX.sub("", path.name))


def label_stem(path: Path) -> str:
    """The image's name in that of a label file (`a_mask.tif` -> `a`); empty where it is none."""
    stem = stem_of(path)
    bare = _LABEL_END.sub("", stem)
    return bare if bare != stem else ""


def image_stem(path: Path) -> str:
    """The name without an ending that says "image" (`a_img.tif` -> `a`)."""
    return _IMAGE_END.sub("", stem_of(path))


def is_picture_folder(name: str) -> bool:
    """Whether a folder of this name holds images."""
    return name.lower() in _IMAGE_FOLDERS


def is_label_folder(name: str) -> bool:
    """Whether a folder of this name holds labels."""
    return name.lower() in _LABEL_FOLDERS


def specimens_of(stems: Sequence[str], pattern: str | None = None) -> tuple[list[str], str]:
    """The specimen of each name, and how it was found.

    Args:
        stems: names without folder.
        pattern: regular expression; its first group, or the whole match, is the specimen. A name that does not match
            is a specimen of its own. None guesses: the name without times, planes and parts (`Emb01_t001` -> `Emb01`;
            nothing is left of `t001`); or without its last number, where most names share what is left with another
            and it is not the same for all.
    """
    if pattern is not None:
        matches = [re.search(pattern, stem) for stem in stems]
        return [_matched(m, s) for m, s in zip(matches, stems, strict=True)], f"the pattern {pattern}"
    wholes = [_without_parts(stem) for stem in stems]
    if wholes != list(stems):
        return wholes, "a guess: the name without its time point, plane or crop"
    prefixes = [_VIEW.sub("", stem) or stem for stem in stems]
    shared = Counter(prefixes)
    grouped = sum(shared[p] > 1 for p in prefixes)
    if len(shared) > 1 and grouped > len(stems) / 2:
        return prefixes, "a guess: the name without its last number"
    return list(stems), "each image is taken for a specimen of its own"


def _without_parts(stem: str) -> str:
    while (shorter := _PART.sub("", stem)) != stem:
        stem = shorter
    return stem


def _matched(match: re.Match[str] | None, stem: str) -> str:
    if match is None:
        return stem
    return (match.group(1) if match.re.groups else match.group(0)) or stem
