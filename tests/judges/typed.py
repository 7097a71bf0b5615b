"""Judges the form of a request by the parameter types of Stripe's SDK, which are newer than the specification.

The SDK's services say which type belongs to which call; their source is read once, when it is first needed.
"""

import ast
import importlib
import re
import types
import typing
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import stripe.params
import typing_extensions
from stripe._request_options import RequestOptions
from stripe._stripe_object import UntypedStripeObject

import stripe
from judges.forms import INTEGER, NUMBER, nested

FOLDER = Path(stripe.__file__).parent


@cache
def _calls() -> list[tuple[str, re.Pattern[str], str, str, bool]]:
    """Method, path, template, `module:class` of the parameter type, of every call of the SDK; fixed paths first."""
    found = []
    for source in sorted(FOLDER.rglob("*_service.py")):
        tree = ast.parse(source.read_text())
        homes = {
            alias.name: node.module
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom) and node.module
            for alias in node.names
        }
        for function in (n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef)):
            found += _call(function, homes)
    return sorted(found, key=lambda call: call[4])


def _call(function: ast.FunctionDef, homes: dict[str, str]) -> list[tuple[str, re.Pattern[str], str, str, bool]]:
    texts = [n.value for n in ast.walk(function) if isinstance(n, ast.Constant) and isinstance(n.value, str)]
    paths = [t for t in texts if re.match(r"/v[12]/|/oauth/", t)]
    methods = [t for t in texts if t in ("get", "post", "delete")]
    given = next((a for a in function.args.args if a.arg == "params"), None)
    named = re.findall(r"\w+Params", ast.unparse(given.annotation)) if given is not None and given.annotation else []
    if not paths or not methods:
        return []
    pattern = re.compile(re.sub(r"\\{\w+\\}", "[^/]+", re.escape(paths[0])))
    kind = f"{homes[named[0]]}:{named[0]}" if named and named[0] in homes else ""
    return [(methods[0].upper(), pattern, paths[0], kind, "{" in paths[0])]


def knows(method: str, path: str) -> bool:
    """Whether the SDK has that call."""
    return any(call[0] == method and call[1].fullmatch(path) for call in _calls())


@cache
def _fields(module: str, name: str) -> tuple[dict[str, Any], frozenset[str]]:
    return _hints(getattr(importlib.import_module(module), name))


@cache
def _hints(cls: type) -> tuple[dict[str, Any], frozenset[str]]:
    space = {**vars(typing), **vars(stripe.params), **vars(importlib.import_module(cls.__module__))}
    space |= {"StripeContext": stripe.StripeContext, "UntypedStripeObject": UntypedStripeObject, "Decimal": Decimal}
    hints = typing_extensions.get_type_hints(cls, globalns=space, localns=vars(cls))
    options = set(RequestOptions.__annotations__) if issubclass(cls, dict) and cls is not RequestOptions else set()
    own = {name: hint for name, hint in hints.items() if name not in options}
    return own, frozenset(getattr(cls, "__required_keys__", ())) & frozenset(own)


def typed_faults(method: str, path: str, query: str, *, closed: bool = False) -> list[str]:
    """What the SDK's types find wrong with a request; `closed`: a value they do not list is wrong even where they let
    any text pass, as they do to be ready for what is to come."""
    for wanted, pattern, template, kind, _ in _calls():
        if wanted != method or not pattern.fullmatch(path):
            continue
        if not kind:
            return [f"{method} {template}: takes no parameters"] if query else []
        hints, required = _fields(*kind.split(":"))
        found = _object(nested(query), hints, required, "", closed)
        return [f"{method} {template} {fault}" for fault in found]
    return [f"{method} {path}: the SDK has no such call"]


def _object(value: Any, hints: dict[str, Any], required: frozenset[str], where: str, closed: bool) -> list[str]:
    if not isinstance(value, dict):
        return [f"{where}: '{value}' is not an object"]
    found = [f"{where}[{name}]: required and absent" for name in sorted(required) if name not in value]
    for name, each in value.items():
        if name not in hints:
            found.append(f"{where}[{name}]: unknown name")
        else:
            found += _faults(each, hints[name], f"{where}[{name}]", closed)
    return found


def _faults(value: Any, hint: Any, where: str, closed: bool) -> list[str]:
    origin, inner = typing_extensions.get_origin(hint), typing_extensions.get_args(hint)
    if origin in (typing_extensions.NotRequired, typing_extensions.Required):
        return _faults(value, inner[0], where, closed)
    if origin in (typing.Union, types.UnionType):
        if closed and any(_lists_values(each) for each in inner):
            inner = tuple(each for each in inner if each is not str)
        return min((_faults(value, each, where, closed) for each in inner), key=len)
    if origin is typing.Literal:
        return [] if value in inner else [f"{where}: '{value}' is not one of {list(inner)[:8]}"]
    if origin is list:
        if not isinstance(value, dict) or not all(key.isdigit() for key in value):
            return [f"{where}: '{value}' is not a list"]
        return [fault for key, each in value.items() for fault in _faults(each, inner[0], f"{where}[{key}]", closed)]
    if origin is dict or origin is UntypedStripeObject:
        if not isinstance(value, dict):
            return [f"{where}: '{value}' is not an object"]
        return [fault for key, each in value.items() for fault in _faults(each, inner[-1], f"{where}[{key}]", closed)]
    if typing_extensions.is_typeddict(hint):
        return _object(value, *_hints(hint), where, closed)
    return _plain(value, hint, where)


def _lists_values(hint: Any) -> bool:
    return typing_extensions.get_origin(hint) is typing.Literal and set(typing_extensions.get_args(hint)) != {""}


def _plain(value: Any, hint: Any, where: str) -> list[str]:
    if hint is Any:
        return []
    if not isinstance(value, str):
        return [f"{where}: {value} is not a plain value"]
    fits: dict[Any, bool] = {
        int: INTEGER.fullmatch(value) is not None,
        float: NUMBER.fullmatch(value) is not None,
        Decimal: NUMBER.fullmatch(value) is not None,
        bool: value in ("true", "false"),
        str: True,
        type(None): value == "",
    }
    if hint not in fits:
        return [f"{where}: no rule for {hint}"]
    return [] if fits[hint] else [f"{where}: '{value}' is not of type {hint.__name__}"]
