"""Annotations of the library are checked while tests run, and only then.

Every function is wrapped when its module is imported, and its check is made at its first call:
beartype alone, or, where shapes are named, within jaxtyping's scope of names. jaxtyping's own hook
checks each argument twice and binds each call; with it the tests took twice their time. A function
that is called often is checked at its first calls and at some of the others; one that another
function makes anew at each of its calls is checked where it is made first, and now and then.
"""
import ast
import builtins
import dataclasses
import functools
import inspect
import sys
import typing
from collections import Counter
from importlib.machinery import PathFinder, SourceFileLoader

from beartype import beartype
from jaxtyping import AbstractArray, jaxtyped
from torch.compiler import is_compiling

NAME = "__checked__"
FIRST, EACH = 32, 64  # calls of a function that are all checked; afterwards one of so many
MADE = Counter()  # by the code of an inner function: how often it was made


def names_shapes(annotation) -> bool:
    if inspect.isclass(annotation) and issubclass(annotation, AbstractArray):
        return True
    return any(names_shapes(a) for a in typing.get_args(annotation))


def made(function):
    """The function with its check; without one where an annotation has a name that only a type
    checker imports."""
    try:
        hints = typing.get_type_hints(function).values()
    except NameError:
        return function
    with_check = beartype(function)
    shapes = any(map(names_shapes, hints))
    return jaxtyped(with_check, typechecker=None) if shapes else with_check


def checked(thing):
    "A function that checks its calls, or a data class whose construction is checked."
    if inspect.isclass(thing):
        if dataclasses.is_dataclass(thing):
            thing.__init__ = checked(thing.__init__)
        return thing
    if not getattr(thing, "__annotations__", None):
        return thing
    if "<locals>" in thing.__qualname__:
        MADE[thing.__code__] += 1
        if MADE[thing.__code__] > FIRST and MADE[thing.__code__] % EACH:
            return thing
    known, calls = None, 0

    @functools.wraps(thing)
    def call(*args, **kwargs):
        nonlocal known, calls
        if is_compiling():  # a count would be part of what is compiled, and each call another
            return thing(*args, **kwargs)
        calls += 1
        if calls > FIRST and calls % EACH:
            return thing(*args, **kwargs)
        if known is None:
            known = made(thing)
        return known(*args, **kwargs)
    return call


class Loader(SourceFileLoader):
    def path_stats(self, path):
        raise OSError("code with checks is not kept beside the plain one")

    def source_to_code(self, data, path, *, _optimize=-1):
        tree = ast.parse(data)
        for node in ast.walk(tree):
            mark = ast.Name(NAME, ast.Load())
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                node.decorator_list.append(ast.copy_location(mark, node))
            elif isinstance(node, ast.ClassDef):
                node.decorator_list.insert(0, ast.copy_location(mark, node))
        return compile(tree, path, "exec", dont_inherit=True, optimize=_optimize)


class Finder:
    "Modules of the library, but for the settings, whose own checks meet what users write."
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name.partition(".")[0] != "bstruct" or name == "bstruct.search.settings":
            return None
        spec = PathFinder.find_spec(name, path, target)
        if spec is not None and isinstance(spec.loader, SourceFileLoader):
            spec.loader = Loader(spec.loader.name, spec.loader.path)
        return spec


def install() -> None:
    setattr(builtins, NAME, checked)
    sys.meta_path.insert(0, Finder)
