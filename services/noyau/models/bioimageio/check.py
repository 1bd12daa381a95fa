"""What a model package carries of what a reader needs to use a model, and to make it again.

The elements are those of figure 3A of Mougeot et al. 2022, "Deep learning - promises for 3D nuclear imaging", J Cell
Sci 135, jcs258986, which found 4% of papers to share all of the first half.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from noyau.domain.errors import NoyauError
from noyau.domain.model import ModelInfo
from noyau.models import selftest
from noyau.models.description import MODEL_FILE, read_info
from noyau.models.package import CARD_FILE

USE, REPRODUCE = "to use it", "to make it again"


@dataclass(frozen=True)
class Element:
    """One thing that a shared model should carry.

    Attributes:
        name: what it is.
        present: whether the package carries it.
        where: file or entry that was looked at.
        why: what was found, or what is missing.
        purpose: `to use it` or `to make it again`.
    """

    name: str
    present: bool
    where: str
    why: str
    purpose: str = USE


@dataclass(frozen=True)
class Score:
    """The elements of a package.

    Attributes:
        model: `name@version`.
        elements: all of them, in the order of the figure.
    """

    model: str
    elements: tuple[Element, ...]

    @property
    def present(self) -> int:
        """How many are there."""
        return sum(element.present for element in self.elements)

    @property
    def missing(self) -> tuple[str, ...]:
        """Names of those that are not."""
        return tuple(element.name for element in self.elements if not element.present)


@dataclass(frozen=True)
class _Package:
    """A package under examination."""

    folder: Path
    info: ModelInfo
    card: str
    failure: str

    def section(self, *words: str, unless: str = "\n") -> str:
        """Text below the first heading of the card that holds one of the words, and not the other one."""
        for heading, body in re.findall(r"^#+ +(.+?)\s*$\n(.*?)(?=^#+ |\Z)", self.card, re.MULTILINE | re.DOTALL):
            if any(word in heading.lower() for word in words) and unless not in heading.lower():
                return str(body).strip()
        return ""


def score(folder: Path) -> Score:
    """Looks for every element in a package; its own test input is run.

    Raises:
        NotFound, DamagedData: there is no package, or its description cannot be read.
    """
    info = read_info(folder)
    path = folder / CARD_FILE
    card = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
    try:
        selftest.check(folder)
        failure = ""
    except NoyauError as error:
        failure = error.cause
    package = _Package(folder, info, card, failure)
    return Score(info.ref, tuple(element(package) for element in _ELEMENTS))


def _explanation(p: _Package) -> Element:
    first = re.sub(r"^#.*$", "", p.card.partition("\n## ")[0], flags=re.MULTILINE).strip()
    found = len(first) >= 80
    why = (
        "says what the model finds, in which images" if found else "the card does not begin with what the model is for"
    )
    return Element("explanation of the method", found, f"{CARD_FILE}, {MODEL_FILE}: description", why)


def _code(p: _Package) -> Element:
    steps = "preparation of the input and decoder are in the package and run by noyau"
    found = bool(p.info.architecture and p.info.decoder and (p.info.processing or p.info.normalisation))
    return Element(
        "code with pre- and post-processing", found, f"{MODEL_FILE}: architecture, normalisation, decoder", steps
    )


def _documentation(p: _Package) -> Element:
    found = bool(p.section("limit", "scope", "risk")) and len(p.card) >= 400
    why = "the card says what the model does and where it ends" if found else "the card has no section on its limits"
    return Element("documentation", found, CARD_FILE, why)


def _environment(p: _Package) -> Element:
    versions = ", ".join(f"{name} {version}" for name, version in p.info.software.items())
    return Element(
        "environment", bool(versions), f"{MODEL_FILE}: software", versions or "no software versions are recorded"
    )


def _weights(p: _Package) -> Element:
    why = p.failure or f"{p.info.digest[:19]}..., and the stored test input gives the stored answer"
    return Element("trained weights", not p.failure, "weights.safetensors, selftest.npz", why)


def _data(p: _Package) -> Element:
    """Training and test data: named, and with a licence."""
    named = bool(p.info.training.get("data") or p.info.training.get("datasets") or p.section("training data", "data"))
    licensed = bool(re.search(r"licen[cs]e|CC0|CC BY", p.section("data") + str(p.info.training.get("data", ""))))
    tested = bool(
        p.info.training.get("val")
        or p.info.training.get("val_percent")
        or re.search(r"validation|test", p.section("data", "figure", "validation"))
    )
    lacks = [
        what
        for what, there in (("the training data", named), ("its licence", licensed), ("the test data", tested))
        if not there
    ]
    why = f"not named: {', '.join(lacks)}" if lacks else "named, with licence and split"
    return Element("training and test data", not lacks, f"{CARD_FILE}, {MODEL_FILE}: training", why, REPRODUCE)


def _module(p: _Package) -> Element:
    """Loss, metrics, optimizer and hyper-parameters."""
    training: dict[str, Any] = p.info.training
    text = (p.card + str(sorted(training))).lower()
    wanted = {
        "loss": "loss" in text or not p.info.processing,
        "metrics": bool(p.info.metrics),
        "optimizer": bool(re.search(r"adam|sgd|optimi[sz]er", text)),
        "hyper-parameters": bool({"lr", "batch"} <= set(training)),
    }
    lacks = [name for name, there in wanted.items() if not there]
    why = f"not given: {', '.join(lacks)}" if lacks else "loss (by decoder), metrics, optimizer and hyper-parameters"
    return Element("training module", not lacks, f"{MODEL_FILE}: training, metrics", why, REPRODUCE)


def _routine(p: _Package) -> Element:
    found = "noyau train" in p.card or {"lr", "batch", "steps", "seed"} <= set(p.info.training)
    why = "the command or all settings of `noyau train`" if found else "no command and no settings to train it again"
    return Element("training routine", found, f"{CARD_FILE}, {MODEL_FILE}: training", why, REPRODUCE)


def _training_documentation(p: _Package) -> Element:
    found = len(p.section("trained", "training", unless="data")) >= 40
    why = "the card tells how it was trained" if found else "the card has no section on the training"
    return Element("documentation of the training", found, CARD_FILE, why, REPRODUCE)


def _interface(p: _Package) -> Element:
    why = p.failure or f"`noyau segment --model {p.info.name}`, gRPC, and the menu of OMERO.web"
    return Element("interface", not p.failure, "noyau", why)


_ELEMENTS: tuple[Callable[[_Package], Element], ...] = (
    _explanation,
    _code,
    _documentation,
    _environment,
    _weights,
    _interface,
    _data,
    _module,
    _routine,
    _training_documentation,
)
