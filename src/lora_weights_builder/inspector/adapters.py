"""Groups tensors into adapters: which tensors change one module, of which kind, at which rank, over which shape.

The shape of the module is derived from the factors (``out`` from the up side, ``in`` from the down side), because it is
what tells architectures with equal names apart. Nothing here reads a weight, and nothing knows a model.

A fault of one module becomes a problem of that module, ``code: sentence``; where it leaves nothing that could be
measured the module is ``fatal``. The file's other modules are not concerned.

Roles that a :class:`ModuleAdapter` of each kind holds (``alpha``, ``dora_scale``, ``reshape_weight`` besides):

* ``lora``, ``locon``: ``lora_down`` [r, in, *k], ``lora_up`` [out, r, 1...], with ``lora_mid`` [r, r, *k] a Tucker core
* ``loha``: ``hada_w1_a`` [out, r], ``hada_w1_b`` [r, in*k], the same for w2; with ``hada_t1``, ``hada_t2`` [r, r, *k]
  the factors are [r, out] and [r, in]
* ``lokr``: ``lokr_w1`` [o1, i1] or ``_a`` [o1, r] and ``_b`` [r, i1]; ``lokr_w2`` likewise, with ``lokr_t2`` [r, r, *k]
  its factors are [r, o2] and [r, i2]
* ``oft``: ``oft_blocks`` [n, b, b] or ``oft_r`` [n, b(b-1)/2]; ``boft``: ``oft_blocks`` [m, n, b, b]
* ``glora``: ``glora_a1`` [in, r], ``glora_a2`` [r, in], ``glora_b1`` [out, r], ``glora_b2`` [r, in]
* ``ia3``: ``weight``, ``on_input``; ``norm``: ``w_norm``, ``b_norm`` or a one-dimensional ``diff``
* ``full``: ``diff``, ``diff_b``, ``diff_m``, ``set_weight`` (a replacement, not a change)
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from lora_weights_builder.inspector.key_grammar import split_role, split_stem
from lora_weights_builder.inspector.training_metadata import PEFT_FIELD, PeftScaling, peft_scaling
from lora_weights_builder.records import AdapterType, Header, ModuleAdapter, TensorInfo

_Tensors = Mapping[str, TensorInfo]
_Grouping = tuple[tuple[ModuleAdapter, ...], tuple[str, ...]]
_Groups = dict[tuple[str, str, str], dict[str, TensorInfo]]  # (root, part, module) -> role -> tensor

_REMEMBERED_TENSORS: Final = 64_000  # some 30 MB with the tensors themselves

# Roles that change nothing by themselves; left over alone they belong to no adapter.
_COMPANIONS: Final = frozenset(
    {"alpha", "dora_scale", "rescale", "reshape_weight", "on_input", "lora_bias", "lora_down_bias", "oft_scaled"}
)
# Roles whose values are counts or flags and may be integers.
MAY_BE_INTEGER: Final = frozenset({"alpha", "reshape_weight", "on_input", "oft_scaled"})
_REPLACEMENT_SUFFIX: Final = ".scale"
# What the roles of each kind's factors begin with.
_STEMS: Final[Mapping[str, str]] = {
    "lora": "lora_",
    "locon": "lora_",
    "loha": "hada_",
    "lokr": "lokr_",
    "glora": "glora_",
}
_FACTOR_STEMS: Final = tuple(sorted(set(_STEMS.values())))


@dataclass(frozen=True, slots=True)
class _Shape:
    """What the factors of one module say about it. ``fault`` is fatal; ``notes`` are not. Both are ``code: text``."""

    out_features: int | None = None
    in_features: int | None = None
    kernel: tuple[int, ...] = ()
    rank: int | None = None
    fault: str | None = None


_Form = tuple[tuple[str, str, tuple[int, ...]], ...]  # (role, dtype, shape) of each tensor
_Likenesses = dict[_Form, tuple[AdapterType, _Shape, bool]]  # the kind, the shape, and whether nothing is wrong


class _Memory:
    """The last few groupings, by the table of tensors and by what metadata add to it."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity  # tensors
        self._held = 0
        self._found: OrderedDict[tuple[str, str | None], tuple[tuple[TensorInfo, ...], _Grouping]] = OrderedDict()

    def get(self, key: tuple[str, str | None], tensors: tuple[TensorInfo, ...]) -> _Grouping | None:
        """What was made of these very tensors; the hash in the key finds them, and does not vouch for them."""
        found = self._found.get(key)
        if found is None or found[0] != tensors:
            return None
        self._found.move_to_end(key)
        return found[1]

    def put(self, key: tuple[str, str | None], tensors: tuple[TensorInfo, ...], grouping: _Grouping) -> None:
        """Remember it, unless it alone would take an eighth of the room."""
        if len(tensors) > self._capacity // 8:
            return
        earlier = self._found.pop(key, None)
        self._found[key] = tensors, grouping
        self._held += len(tensors) - (len(earlier[0]) if earlier else 0)
        while self._held > self._capacity:
            self._held -= len(self._found.popitem(last=False)[1][0])

    def clear(self) -> None:
        """Forget them all."""
        self._found.clear()
        self._held = 0


_remembered: Final = _Memory(_REMEMBERED_TENSORS)


def group_modules(header: Header) -> tuple[tuple[ModuleAdapter, ...], tuple[str, ...]]:
    """Put the tensors of a file together, module by module.

    Files of one trainer share their names and shapes, so the last few groupings are remembered.

    Returns:
        The modules in the order of their first tensor, and the names of the tensors that belong to no adapter.
        Two spellings of one module under different prefixes stay two modules; the matcher sees they are one weight.
    """
    key = header.table_hash, header.metadata.get(PEFT_FIELD)
    known = _remembered.get(key, header.tensors)
    if known is None:
        known = _group(header)
        _remembered.put(key, header.tensors, known)
    return known


def _group(header: Header) -> _Grouping:
    groups, unknown = _grouped(header)
    unknown = _claim_ia3_weights(header, groups, unknown)
    _share_alpha_of_slices(groups)
    scaling = peft_scaling(header.metadata)
    modules: list[ModuleAdapter] = []
    like: _Likenesses = {}
    for (_, part, module), tensors in groups.items():
        if _COMPANIONS.issuperset(tensors):
            unknown.extend(tensor.name for tensor in tensors.values())
        else:
            modules.append(_adapter(part, module, tensors, scaling, like))
    if modules and all(_is_bare_replacement(module) for module in modules):
        # A base model's own norm scales look like replacements; a file that holds nothing else adapts nothing.
        unknown.extend(tensor.name for module in modules for tensor in module.tensors.values())
        modules = []
    return tuple(modules), tuple(unknown)


def _grouped(header: Header) -> tuple[_Groups, list[str]]:
    groups: _Groups = {}
    unknown: list[str] = []
    by_stem: dict[str, dict[str, TensorInfo]] = {}  # the tensors of a module share their stem
    for tensor in header.tensors:
        found = split_role(tensor.name)
        if found is None:
            unknown.append(tensor.name)
            continue
        stem, role = found
        roles = by_stem.get(stem)
        if roles is None:
            part, module, root, _ = split_stem(stem)
            roles = by_stem[stem] = groups.setdefault((root, part, module), {})
        if role in roles:  # "to.q.lora_A" and "to_q.lora_A" fold to one name: nothing can say which one counts
            unknown.append(tensor.name)
        else:
            roles[role] = tensor
    return groups, unknown


def _claim_ia3_weights(header: Header, groups: _Groups, unknown: list[str]) -> list[str]:
    """IA3 stores its vector as plain ``.weight``, which is only known by the ``.on_input`` flag beside it."""
    flags = [roles for roles in groups.values() if "on_input" in roles]
    flagged = {roles["on_input"].name.removesuffix(".on_input"): roles for roles in flags}
    if not flagged:
        return unknown
    plain = {name for name in unknown if name.endswith(".weight") and name.removesuffix(".weight") in flagged}
    for tensor in header.tensors:
        if tensor.name in plain:
            flagged[tensor.name.removesuffix(".weight")]["weight"] = tensor
    return [name for name in unknown if name not in plain]


def _share_alpha_of_slices(groups: _Groups) -> None:
    """``qkv.oft_blocks.0`` to ``.2`` are slices with one ``qkv.alpha`` among them; give it to each."""
    for place in [place for place, roles in groups.items() if roles.keys() == {"alpha"}]:
        root, part, module = place
        alpha = groups[place]["alpha"]
        for number in range(100):
            roles = groups.get((root, part, f"{module}_{number}"))
            if roles is None or "oft_blocks" not in roles:
                break
            roles.setdefault("alpha", alpha)
            groups.pop(place, None)


def _is_bare_replacement(module: ModuleAdapter) -> bool:
    return all(tensor.name.endswith(_REPLACEMENT_SUFFIX) for tensor in module.tensors.values())


def _adapter(
    part: str, module: str, tensors: dict[str, TensorInfo], scaling: PeftScaling | None, like: _Likenesses
) -> ModuleAdapter:
    """One module's adapter. ``like`` holds what modules of the same factors came to: a model has few kinds of them."""
    form = tuple([(role, tensor.dtype, tensor.shape) for role, tensor in tensors.items()])
    kind, shape, faultless = like.get(form) or _read_form(tensors, form, like)
    declared = scaling.of(part, module) if scaling and kind in ("lora", "locon") and "alpha" not in tensors else None
    problems: tuple[str, ...] = ()
    if not faultless:
        problems = (f"{shape.fault}, in {_named(part, module)}",) if shape.fault else ()
        problems += tuple(_leftovers(part, module, kind, tensors))
    return ModuleAdapter(
        part=part,
        module=module,
        kind=kind,
        tensors=tensors,
        out_features=shape.out_features,
        in_features=shape.in_features,
        kernel=shape.kernel,
        rank=shape.rank,
        alpha=declared.alpha if declared else None,
        rank_stabilised=declared.rank_stabilised if declared else False,
        dora="dora_scale" in tensors,
        problems=problems,
        fatal=shape.fault is not None,
    )


def _read_form(tensors: _Tensors, form: _Form, like: _Likenesses) -> tuple[AdapterType, _Shape, bool]:
    kind, derive = _kind(tensors)
    fault = _tensor_fault(tensors)
    shape = _Shape(fault=fault) if fault else derive(tensors)
    if kind == "lora" and (any(size > 1 for size in shape.kernel) or "lora_mid" in tensors):
        kind = "locon"  # a convolution; 1x1 ones are written by plain LoRA trainers as well
    if kind == "full" and shape.out_features is not None and shape.in_features is None and "diff_b" not in tensors:
        kind = "norm"
    faultless = shape.fault is None and not any(_leftovers("", "", kind, tensors))
    like[form] = kind, shape, faultless
    return like[form]


def _kind(tensors: _Tensors) -> tuple[AdapterType, Callable[[_Tensors], _Shape]]:
    """The adapter's kind from its roles, and how its shape is read. First match wins, richest adapter first."""
    roles = " ".join(tensors)
    if "hada_" in roles:
        return "loha", _loha
    if "lokr_" in roles:
        return "lokr", _lokr
    if "oft_blocks" in tensors:
        return ("boft" if len(tensors["oft_blocks"].shape) == 4 else "oft"), _oft
    if "oft_r" in tensors:
        return "oft", _oft_packed
    if "glora_" in roles:
        return "glora", _glora
    if "lora_down" in tensors or "lora_up" in tensors or "lora_mid" in tensors:
        return "lora", _lora
    if "w_norm" in tensors or "b_norm" in tensors:
        return "norm", _whole
    if "weight" in tensors:
        return "ia3", _ia3
    return "full", _whole


def _tensor_fault(tensors: _Tensors) -> str | None:
    """Faults that any tensor can have, whatever the adapter."""
    for role, tensor in tensors.items():
        if role == "alpha" and math.prod(tensor.shape) != 1:
            return f"alpha_not_scalar: alpha has the shape {list(tensor.shape)}, so the scale is unknown"
        if role not in MAY_BE_INTEGER and not tensor.dtype.startswith(("F", "BF")):
            return f"integer_weights: {role} is stored as {tensor.dtype}, which no LoRA factor can be"
        if 0 in tensor.shape:
            code = "rank_zero" if role.startswith(("lora_", "hada_", "lokr_", "glora_")) else "empty_tensor"
            return f"{code}: {role} has the shape {list(tensor.shape)}, so it changes nothing"
    return None


def _leftovers(part: str, module: str, kind: AdapterType, tensors: _Tensors) -> Iterator[str]:
    """Factors of a second adapter on the same module: they are kept, named, and not measured."""
    own = _STEMS.get(kind)
    others = [
        role
        for role in tensors
        if role.startswith(_FACTOR_STEMS) and role not in _COMPANIONS and (own is None or not role.startswith(own))
    ]
    if others:
        where = _named(part, module)
        yield f"mixed_adapters: {', '.join(others)} stand beside a {kind} adapter and are ignored, in {where}"


def _named(part: str, module: str) -> str:
    return module if part == "model" else f"{part} {module}"


def _missing(tensors: _Tensors, *needed: str) -> _Shape | None:
    absent = [role for role in needed if role not in tensors]
    if absent:
        return _Shape(fault=f"half_pair: {' and '.join(absent)} is missing, so the change cannot be put together")
    flat = [role for role in needed if len(tensors[role].shape) < 2]
    if flat:
        return _Shape(fault=f"bad_shape: {flat[0]} has the shape {list(tensors[flat[0]].shape)}, not that of a matrix")
    return None


def _mismatch(left: str, left_rank: int, right: str, right_rank: int) -> str:
    return f"rank_mismatch: {left} has rank {left_rank}, but {right} has rank {right_rank}"


def _lora(tensors: _Tensors) -> _Shape:
    if missing := _missing(tensors, "lora_down", "lora_up", *(["lora_mid"] if "lora_mid" in tensors else [])):
        return missing
    down, up = tensors["lora_down"].shape, tensors["lora_up"].shape
    rank, kernel = down[0], down[2:]
    if mid := tensors.get("lora_mid"):
        kernel = mid.shape[2:]
        if mid.shape[0] != up[1] or mid.shape[1] != rank:
            return _Shape(fault=_mismatch("lora_mid", mid.shape[1], "lora_down", rank))
    elif up[1] != rank:
        return _Shape(fault=_mismatch("lora_down", rank, "lora_up", up[1]))
    return _Shape(up[0], down[1], kernel, rank)


def _loha(tensors: _Tensors) -> _Shape:
    core = [role for role in ("hada_t1", "hada_t2") if "hada_t1" in tensors or "hada_t2" in tensors]
    if missing := _missing(tensors, "hada_w1_a", "hada_w1_b", "hada_w2_a", "hada_w2_b", *core):
        return missing
    halves: list[tuple[int, int]] = []
    for half in ("1", "2"):
        left, right = tensors[f"hada_w{half}_a"].shape, tensors[f"hada_w{half}_b"].shape
        left_rank, out_features = (left[0], left[1]) if core else (left[1], left[0])
        if left_rank != right[0]:
            return _Shape(fault=_mismatch(f"hada_w{half}_a", left_rank, f"hada_w{half}_b", right[0]))
        halves.append((out_features, math.prod(right[1:])))
    if halves[0] != halves[1]:
        return _Shape(fault=f"bad_shape: the halves of the product are {halves[0]} and {halves[1]}")
    kernel = tensors["hada_t1"].shape[2:] if core else ()
    return _Shape(halves[0][0], halves[0][1], kernel, tensors["hada_w1_b"].shape[0])


def _lokr(tensors: _Tensors) -> _Shape:
    left, right = _lokr_factor(tensors, "lokr_w1", None), _lokr_factor(tensors, "lokr_w2", tensors.get("lokr_t2"))
    for factor in (left, right):
        if factor.fault:
            return factor
    return _Shape(
        (left.out_features or 0) * (right.out_features or 0),
        (left.in_features or 0) * (right.in_features or 0),
        right.kernel,
        left.rank if left.rank is not None else right.rank,
    )


def _lokr_factor(tensors: _Tensors, name: str, core: TensorInfo | None) -> _Shape:
    if name in tensors:
        if missing := _missing(tensors, name):
            return missing
        shape = tensors[name].shape
        return _Shape(shape[0], shape[1], shape[2:])
    if missing := _missing(tensors, f"{name}_a", f"{name}_b"):
        return missing
    a, b = tensors[f"{name}_a"].shape, tensors[f"{name}_b"].shape
    a_rank, out_features = (a[0], a[1]) if core else (a[1], a[0])
    if a_rank != b[0]:
        return _Shape(fault=_mismatch(f"{name}_a", a_rank, f"{name}_b", b[0]))
    return _Shape(out_features, math.prod(b[1:]), core.shape[2:] if core else (), b[0])


def _oft(tensors: _Tensors) -> _Shape:
    shape = tensors["oft_blocks"].shape
    if len(shape) not in (3, 4) or shape[-1] != shape[-2]:
        return _Shape(fault=f"bad_shape: oft_blocks has the shape {list(shape)}, not that of square blocks")
    return _Shape(out_features=shape[-3] * shape[-1])


def _oft_packed(tensors: _Tensors) -> _Shape:
    shape = tensors["oft_r"].shape
    if len(shape) == 3 and shape[1] == shape[2]:
        return _Shape(in_features=shape[0] * shape[1])
    if len(shape) != 2:
        return _Shape(fault=f"bad_shape: oft_R has the shape {list(shape)}, not [blocks, b(b-1)/2]")
    # The upper triangle of a skew-symmetric b x b block, so b(b-1)/2 numbers; it turns the inputs.
    side = (1 + math.isqrt(1 + 8 * shape[1])) // 2
    if side * (side - 1) // 2 != shape[1]:
        return _Shape(fault=f"bad_shape: oft_R holds {shape[1]} numbers a block, which is no triangle")
    return _Shape(in_features=shape[0] * side)


def _glora(tensors: _Tensors) -> _Shape:
    if missing := _missing(tensors, "glora_a1", "glora_a2", "glora_b1", "glora_b2"):
        return missing
    b1, b2 = tensors["glora_b1"].shape, tensors["glora_b2"].shape
    a1, a2 = tensors["glora_a1"].shape, tensors["glora_a2"].shape
    if b1[1] != b2[0]:
        return _Shape(fault=_mismatch("b1", b1[1], "b2", b2[0]))
    if a1[1] != a2[0]:
        return _Shape(fault=_mismatch("a1", a1[1], "a2", a2[0]))
    return _Shape(b1[0], b2[1], b2[2:], b2[0])


def _whole(tensors: _Tensors) -> _Shape:
    """``diff`` and its like have the shape of what they change; a vector is a norm's scale or a bias."""
    for role in ("diff", "set_weight", "w_norm", "b_norm", "diff_b"):
        if role in tensors:
            shape = tensors[role].shape
            if len(shape) < 2:
                return _Shape(out_features=math.prod(shape))
            return _Shape(shape[0], shape[1], shape[2:])
    return _Shape()  # diff_m: a modulation table, of a shape of its own


def _ia3(tensors: _Tensors) -> _Shape:
    shape = tensors["weight"].shape
    if len(shape) >= 2 and shape[0] == 1:
        return _Shape(in_features=math.prod(shape))
    return _Shape(out_features=math.prod(shape)) if len(shape) >= 2 else _Shape()
