"""What has to change in the source of Ice 3.6.5 so that it builds on Python 3.11.

The release predates Python 3.11, which removed the header `eval.h` and hid the frame of a thread's state. Both changes
are one line. The third patch is about time only: the package has one extension of 200 files, which setuptools compiles
one by one.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

# Raise this number when a patch changes: cached wheels of another number are not used.
PATCH_LEVEL = 1

# Setuptools compiles the files of one extension in a row. The replacement does the same with `workers` compilers at
# once.
PARALLEL_COMPILE = """
def _compile_at_once(self, sources, output_dir=None, macros=None, include_dirs=None, debug=0, extra_preargs=None,
                     extra_postargs=None, depends=None):
    from multiprocessing.pool import ThreadPool
    macros, objects, extra_postargs, pp_opts, build = self._setup_compile(
        output_dir, macros, include_dirs, sources, depends, extra_postargs)
    cc_args = self._get_cc_args(pp_opts, debug, extra_preargs)

    def one(name):
        source, extension = build[name]
        self._compile(name, source, extension, cc_args, extra_postargs, pp_opts)

    with ThreadPool({workers}) as pool:
        pool.map(one, build, chunksize=1)
    return objects


from distutils.ccompiler import CCompiler
CCompiler.compile = _compile_at_once
extra_compile_args.append('-g0')

setup(
"""


class PatchError(Exception):
    """The source is not the one that the patches were written for."""


@dataclass(frozen=True)
class Patch:
    """One replacement in one file.

    Attributes:
        file: Path below the root of the source.
        old: Text that must occur exactly once.
        new: What stands there afterwards.
    """

    file: str
    old: str
    new: str

    def apply(self, root: Path) -> None:
        """Changes the file below `root`.

        Raises:
            PatchError: The file is absent, or the text does not occur exactly once.
        """
        path = root / self.file
        if not path.is_file():
            raise PatchError(f"{self.file} is not in the source of Ice")
        text = path.read_text(encoding="utf-8")
        if (count := text.count(self.old)) != 1:
            raise PatchError(f"{self.file} has {self.old.strip()!r} {count} times, expected once")
        path.write_text(text.replace(self.old, self.new), encoding="utf-8")


def patches(workers: int) -> tuple[Patch, ...]:
    """The changes, with `workers` compilers running at once."""
    return (
        # What it declared comes with Python.h.
        Patch("src/Slice.cpp", "#include <eval.h>\n", ""),
        # A borrowed reference, as the member was.
        Patch("src/Util.cpp", "PyThreadState_GET()->frame", "PyEval_GetFrame()"),
        Patch("setup.py", "\nsetup(\n", PARALLEL_COMPILE.format(workers=workers)),
    )


def patch_source(root: Path, *, workers: int = 2) -> None:
    """Applies every patch to the unpacked source at `root`.

    Raises:
        PatchError: The source is another one than expected; nothing says how far it got, so throw the folder away.
    """
    for patch in patches(workers):
        patch.apply(root)
