"""Whether a TorchScript program does nothing but arithmetic on tensors, found out without loading it.

TorchScript runs no Python, yet it is a program: its operators include reading and writing files, and code of it runs
already when it is loaded. Its source lies in the file as text with Python's grammar. Here every call in it must be one
of the operators that networks are made of, and nothing may be defined that runs at loading.
"""

from __future__ import annotations

import ast
import io
import zipfile
from collections.abc import Sequence
from functools import cache

from noyau.domain.errors import DamagedData, InvalidInput, LimitExceeded

LARGEST_SOURCE = 8_000_000
_MOST_RATIO = 50

# Operators by what they do. None of them opens a file, touches memory by address, or runs other code.
_LAYERS = """
_convolution conv1d conv2d conv3d conv_transpose1d conv_transpose2d conv_transpose3d linear addmm addbmm baddbmm bmm
matmul mm einsum batch_norm instance_norm group_norm layer_norm native_layer_norm max_pool1d max_pool2d max_pool3d
avg_pool1d avg_pool2d avg_pool3d adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d adaptive_max_pool2d
adaptive_max_pool3d dropout dropout_ feature_dropout feature_dropout_ alpha_dropout upsample_nearest1d
upsample_nearest2d upsample_nearest3d upsample_linear1d upsample_bilinear2d upsample_bicubic2d upsample_trilinear3d
pixel_shuffle pixel_unshuffle grid_sampler interpolate __interpolate pad constant_pad_nd reflection_pad2d
reflection_pad3d replication_pad2d replication_pad3d scaled_dot_product_attention
"""
_ACTIVATIONS = """
relu relu_ relu6 relu6_ leaky_relu leaky_relu_ prelu elu elu_ selu selu_ celu gelu silu silu_ mish mish_ hardswish
hardswish_ hardsigmoid hardsigmoid_ hardtanh hardtanh_ softplus sigmoid sigmoid_ tanh tanh_ softmax log_softmax
threshold glu logsigmoid
"""
_ARITHMETIC = """
add add_ sub sub_ rsub mul mul_ div div_ floordiv floor_divide remainder fmod pow pow_ sqrt sqrt_ rsqrt rsqrt_ exp exp_
log log_ log1p log2 abs abs_ neg neg_ floor floor_ ceil ceil_ round round_ trunc clamp clamp_ clamp_min clamp_max clip
minimum maximum min max mean sum prod std var norm argmax argmin amax amin any all where masked_fill masked_fill_ eq ne
lt le gt ge logical_and logical_or logical_not logical_xor isnan sin cos asin asinh atan atan2 erf sign square cumsum
lerp addcmul addcdiv reciprocal
"""
_SHAPES = """
cat stack concat split split_with_sizes chunk unbind view reshape flatten squeeze squeeze_ unsqueeze unsqueeze_ permute
transpose transpose_ t movedim moveaxis expand expand_as repeat tile roll flip contiguous clone detach slice select
index index_select gather narrow size sizes dim numel len to type_as float int bool Float Int Bool IntImplicit
FloatImplicit ScalarImplicit item zeros ones full zeros_like ones_like full_like empty_like new_zeros new_ones new_full
arange linspace meshgrid tensor scalar_tensor detach_ is_floating_point dtype layout device prim_device requires_grad
type unfold fold
"""
_LANGUAGE = """
append extend insert pop list dict keys values items format warn __is__ __isnot__ __not__ __contains__ __getitem__
__and__ __or__ __range_length __derive_index ord str join upper lower strip copy get
"""
TENSOR_OPERATORS = frozenset(" ".join((_LAYERS, _ACTIVATIONS, _ARITHMETIC, _SHAPES, _LANGUAGE)).split())
_PRIM = frozenset(
    ["NumToTensor", "RaiseException", "min", "max", "abs", "device", "dtype", "layout", "is_cuda", "unchecked_cast",
     "data", "shape", "TupleUnpack"]
)  # fmt: skip
_BUILT_IN = frozenset(
    ["annotate", "unchecked_cast", "uninitialized", "getattr", "isinstance", "int", "float", "bool", "str", "len",
     "range", "list", "dict", "tuple", "min", "max", "abs", "enumerate", "zip"]
)  # fmt: skip


def check_torchscript(content: bytes, name: str) -> None:
    """Refuses a TorchScript file whose program does more than arithmetic on tensors.

    Raises:
        DamagedData: it is not a TorchScript file.
        LimitExceeded: it unpacks to too much.
        InvalidInput: it calls an operator that is not on the list; the message names it.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as parts:
            total = sum(part.file_size for part in parts.infolist())
            if total > _MOST_RATIO * len(content) + 2**20:
                raise LimitExceeded(f"The TorchScript file '{name}' unpacks to {total:,} bytes: a zip bomb.")
            sources = [part for part in parts.infolist() if "/code/" in part.filename]
            if sum(part.file_size for part in sources) > LARGEST_SOURCE:
                raise LimitExceeded(f"The program in '{name}' is longer than {LARGEST_SOURCE:,} characters.")
            texts = [parts.read(part).decode() for part in sources if part.filename.endswith(".py")]
    except (zipfile.BadZipFile, UnicodeDecodeError, EOFError, OSError, NotImplementedError, RuntimeError) as error:
        raise DamagedData(f"The TorchScript file '{name}' cannot be read: {error}.") from error
    if not texts:
        raise DamagedData(f"The TorchScript file '{name}' holds no program.")
    trees = [_parsed(text, name) for text in texts]
    defined = _defined(trees, name)
    for tree in trees:
        _check_calls(tree, defined, name)


def _parsed(text: str, name: str) -> ast.Module:
    try:
        return ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise InvalidInput(f"The program in the TorchScript file '{name}' cannot be understood: {error}.") from error


def _defined(trees: Sequence[ast.Module], name: str) -> frozenset[str]:
    """Names of the functions and classes of the program; none may hide an operator or run by itself."""
    nodes = [node for tree in trees for node in ast.walk(tree)]
    functions = {node.name for node in nodes if isinstance(node, ast.FunctionDef)}
    for function in sorted(functions):
        # __setstate__ and its like run when the file is loaded; a method called like an operator would excuse the
        # operator, because a call on a tensor looks the same.
        if (function.startswith("__") and function != "__len__") or function in _operators() - TENSOR_OPERATORS:
            raise _refusal(name, function)
    return frozenset(functions | {node.name for node in nodes if isinstance(node, ast.ClassDef)})


@cache
def _operators() -> frozenset[str]:
    """All operators of torch by their plain names."""
    import torch

    return frozenset(schema.name.partition("::")[2] for schema in torch._C._jit_get_all_schemas())


def _check_calls(tree: ast.Module, defined: frozenset[str], name: str) -> None:
    aliases = _aliases(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            called = ".".join(_dotted(node.func))
            if not _is_known(called, defined, aliases):
                raise _refusal(name, called)


def _aliases(tree: ast.Module) -> frozenset[str]:
    """Local names that stand for functions of the program and for nothing else."""
    good: set[str] = set()
    bad: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign):
            kind = good if _dotted(node.value)[0] == "__torch__" else bad
            kind.update(part.id for target in node.targets for part in ast.walk(target) if isinstance(part, ast.Name))
    return frozenset(good - bad)


def _dotted(node: ast.expr) -> list[str]:
    """The parts of `a.b.c`; the first is empty where the chain begins with something else than a name."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return [node.id if isinstance(node, ast.Name) else "", *reversed(parts)]


def _is_known(called: str, defined: frozenset[str], aliases: frozenset[str]) -> bool:
    root, _, rest = called.partition(".")
    last = rest.rpartition(".")[2]
    if not rest:
        return root in _BUILT_IN or root in aliases
    if root == "torch":
        return rest in TENSOR_OPERATORS
    if root == "ops":
        family, _, operator = rest.partition(".")
        return (family == "prim" and operator in _PRIM) or (family == "aten" and operator in TENSOR_OPERATORS)
    if root == "__torch__":
        return last in defined and not rest.startswith("torch.classes")
    return last in defined or last in TENSOR_OPERATORS


def _refusal(name: str, what: str) -> InvalidInput:
    return InvalidInput(
        f"The program in the TorchScript file '{name}' calls '{what}', which is not one of the operations on tensors "
        "that networks are made of.",
        "Ask its makers for ONNX weights, or for a state dict of a known architecture.",
    )
