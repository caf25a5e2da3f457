"""A second device without hardware: tensors that call themselves `meta` and compute on the CPU.

Operands on different devices raise, as they do on an accelerator. What makes the host wait (`item`,
`nonzero`, masks, copies to the host) and copies to the device are counted, by the line of the
library that causes them.
"""
import traceback
from collections import Counter
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map

import bstruct

DEVICE = torch.device("meta")
LIBRARY = str(Path(bstruct.__file__).parent)
WAITS = ("aten.nonzero", "aten.masked_select", "aten._unique", "aten.unique", "aten.bincount",
         "aten.equal")
COUNTS = {"kernels": Counter(), "waits": Counter(), "copies": Counter()}


def _line() -> str:
    "The line of the library that is at work."
    inside = [f for f in traceback.extract_stack() if f.filename.startswith(LIBRARY)]
    return (f"{inside[-1].filename[len(LIBRARY) + 1:]}:{inside[-1].lineno} {inside[-1].line}"
            if inside else "outside")


def _count(kind: str) -> None:
    COUNTS[kind][_line() if kind != "kernels" else "all"] += 1


class Held(torch.Tensor):
    "A tensor of the emulated device; `inner` has its numbers."

    @staticmethod
    def __new__(cls, inner):
        return torch.Tensor._make_wrapper_subclass(
            cls, inner.size(), strides=inner.stride(), storage_offset=inner.storage_offset(),
                                                   dtype=inner.dtype,
            device=DEVICE, requires_grad=False)

    def __init__(self, inner):
        self.inner = inner

    __torch_function__ = torch._C._disabled_torch_function_impl

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        return _run(func, args, kwargs or {})

    def tolist(self):
        _count("waits")
        return self.inner.tolist()

    def numpy(self, *args, **kwargs):
        raise TypeError("can't convert a tensor of the emulated device to numpy")

    def __repr__(self):
        return f"Held({self.inner})"


def _inner(x):
    return x.inner if isinstance(x, Held) else x


def _moved(func, args, kwargs):
    "`to` and its kin."
    source, to = isinstance(args[0], Held), kwargs.get("device")
    to = torch.device(to) if to is not None else DEVICE if source else torch.device("cpu")
    if source != (to == DEVICE):
        _count("waits" if source else "copies")
    kept = {k: v for k, v in kwargs.items() if k not in ("device", "pin_memory", "non_blocking")}
    found = func(_inner(args[0]), **kept)
    return Held(found.clone() if found is _inner(args[0]) else found) if to == DEVICE else found


def _copied(func, args, kwargs):
    "`copy_`, between devices or not."
    if isinstance(args[0], Held) != isinstance(args[1], Held):
        _count("copies" if isinstance(args[0], Held) else "waits")
    func(*tree_map(_inner, args))
    return args[0]


def _checked(name: str, held: list, host: list, args: tuple) -> None:
    "Raise where devices mix; an index may come from the host, and is a copy."
    if any(h.device == DEVICE for h in host):
        raise RuntimeError(f"a tensor without numbers reached {name}")
    large = [h for h in host if h.ndim > 0]
    indexed = name.startswith(("aten.index.Tensor", "aten.index_put", "aten._index_put"))
    own = indexed and all(any(h is i for i in args[1] or []) for h in large)
    if held and large and not own:
        raise RuntimeError(f"expected all tensors on one device, found meta and cpu ({name}, "
                           f"host shapes {[tuple(h.shape) for h in large]})")
    if held and large:
        _count("copies")
    masks = indexed and held and any(isinstance(i, torch.Tensor) and i.dtype == torch.bool
                                     for i in args[1])
    if masks or (held and name.startswith(WAITS)):
        _count("waits")


def _generators(name: str, flat: list, there: bool) -> None:
    "Raise where a generator of the host is asked for numbers on the device."
    if there and any(isinstance(a, torch.Generator) for a in flat):
        raise RuntimeError(f"expected a 'meta' device type for generator but found 'cpu' ({name})")


def _run(func, args, kwargs):
    name, flat = str(func), tree_flatten((args, kwargs))[0]
    held = [a for a in flat if isinstance(a, Held)]
    if name.startswith("aten._local_scalar_dense") and held:
        _count("waits")
        return func(args[0].inner)
    if name.startswith(("aten._to_copy", "aten.to.")):
        return _moved(func, args, kwargs)
    if name.startswith("aten.copy_"):
        return _copied(func, args, kwargs)
    _checked(name, held, [a for a in flat if isinstance(a, torch.Tensor)
                          and not isinstance(a, Held)], args)
    device = kwargs.get("device")
    there = bool(held) if device is None else torch.device(device) == DEVICE
    _generators(name, flat, there)
    if there:
        _count("kernels")
    kept = {k: v for k, v in kwargs.items() if k not in ("device", "pin_memory")}
    if name.startswith("aten._efficientzerotensor"):  # one without memory, which nothing can read
        func, kwargs = torch.zeros, {k: v for k, v in kwargs.items() if v is not None}
    found, known = func(*tree_map(_inner, args), **tree_map(_inner, kept)), {
        id(h.inner): h for h in held}
    wrap = lambda t: known.get(id(t)) or Held(t) if isinstance(t, torch.Tensor) and not isinstance(
        t, Held) else t
    return tree_map(lambda t: (known[id(t)] if id(t) in known else wrap(t)),
                    found) if there else found


class _Mode(TorchDispatchMode):
    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        return _run(func, args, kwargs or {})


_tensor, _get, _set = torch.tensor, torch.Tensor.__getitem__, torch.Tensor.__setitem__


def _places(x: torch.Tensor, at):
    "An index with the lists of places that it has copied to the device."
    there = lambda i: tensor(i, device=x.device) if isinstance(i, list) else i
    return tuple(map(there, at)) if isinstance(at, tuple) else there(at)


def get(self, at):
    return _get(self, _places(self, at))


def set_(self, at, value):
    _set(self, _places(self, at), value)


def tensor(data, *args, device=None, **kwargs):
    made = _tensor(data, *args, **kwargs)
    if device is None or torch.device(device) != DEVICE:
        return made
    _count("copies")
    return Held(made)


def as_tensor(data, *args, device=None, **kwargs):
    if isinstance(data, torch.Tensor):
        return data.to(device=device or data.device, dtype=kwargs.get("dtype") or data.dtype)
    return tensor(data, *args, device=device, **kwargs)


def new_tensor(self, data, dtype=None, device=None, **kwargs):
    return tensor(data, dtype=dtype or self.dtype, device=device or self.device, **kwargs)


@contextmanager
def emulated():
    "The emulated device and its counts, inside the block."
    devices = lambda: ["cpu", "meta"]
    with (mock.patch.multiple(torch.Tensor, new_tensor=new_tensor, __getitem__=get,
                              __setitem__=set_),
          mock.patch.multiple(torch, tensor=tensor, as_tensor=as_tensor),
          mock.patch("torch.optim.adam._get_fused_kernels_supported_devices", devices, create=True),
          mock.patch("torch.optim.optimizer._get_fused_kernels_supported_devices", devices,
                     create=True),
          _Mode()):
        for counter in COUNTS.values():
            counter.clear()
        yield DEVICE
