"""Read a pickle that only describes data, without running it.

A pickle is a program for a stack machine that can import and call anything, and even one that may call
nothing can ask for gigabytes of memory. This is that machine with the few instructions that lists,
dictionaries, tuples, texts and numbers need; a call is answered by a table of ours or not at all.
"""

from __future__ import annotations

import io
import pickletools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple


class ForbiddenPickle(ValueError):
    """The pickle is broken, or is more than a description of data."""


class Global(NamedTuple):
    """A name that the pickle would import: module and name, with a blank between."""

    name: str


_CONSTANTS: Mapping[str, Any] = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}
_LITERALS = frozenset({"BININT", "BININT1", "BININT2", "LONG1", "BINUNICODE"})
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}


def load(file: io.BytesIO, *, calls: Mapping[str, Callable[..., Any]], persistent: Callable[[Any], Any]) -> Any:
    """Read one pickle of protocol 2 from `file`, and leave the file just behind it.

    `calls` holds what stands for each global that the pickle may name; `persistent` turns a persistent id
    into a value. Both get values that nobody checked.

    Raises:
        ForbiddenPickle: it is not complete, or uses an instruction or a global that it may not.
    """
    machine = _Machine(calls, persistent)
    try:
        for opcode, argument, _ in pickletools.genops(file):
            machine.step(opcode.name, argument)
        (result,) = machine.stack
    except ForbiddenPickle:
        raise
    except (ValueError, LookupError, TypeError, AttributeError, OverflowError) as error:
        raise ForbiddenPickle("it is not a complete pickle") from error
    return result


class _Machine:
    def __init__(self, calls: Mapping[str, Callable[..., Any]], persistent: Callable[[Any], Any]) -> None:
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: dict[int, Any] = {}
        self.calls = calls
        self.persistent = persistent

    def step(self, name: str, argument: Any) -> None:
        if name in _CONSTANTS:
            self.stack.append(_CONSTANTS[name])
        elif name in _LITERALS:
            self.stack.append(argument)
        elif name in _TUPLES:
            items = [self.stack.pop() for _ in range(_TUPLES[name])]
            self.stack.append(tuple(reversed(items)))
        else:
            self._instruct(name, argument)

    def _instruct(self, name: str, argument: Any) -> None:
        stack = self.stack
        match name:
            case "PROTO" | "STOP":
                pass
            case "MARK":
                self.marks.append(len(stack))
            case "BINPUT" | "LONG_BINPUT":
                self.memo[argument] = stack[-1]
            case "BINGET" | "LONG_BINGET":
                stack.append(self.memo[argument])
            case "EMPTY_DICT":
                stack.append({})
            case "EMPTY_LIST":
                stack.append([])
            case "TUPLE":
                stack.append(tuple(self._marked()))
            case "SETITEM":
                value, key = stack.pop(), stack.pop()
                self._set_items([key, value])
            case "SETITEMS":
                self._set_items(self._marked())
            case "APPEND":
                value = stack.pop()
                stack[-1].append(value)
            case "APPENDS":
                values = self._marked()
                stack[-1].extend(values)
            case "GLOBAL":
                stack.append(self._global(argument))
            case "BINPERSID":
                stack.append(self.persistent(stack.pop()))
            case "REDUCE":
                arguments, function = stack.pop(), stack.pop()
                stack.append(self._call(function, arguments))
            case "BUILD":
                stack.pop()  # attributes of an object: data have none that matter
            case _:
                raise ForbiddenPickle(f"it uses the instruction {name}, which no plain data need")

    def _marked(self) -> list[Any]:
        start = self.marks.pop()
        items = self.stack[start:]
        del self.stack[start:]
        return items

    def _set_items(self, items: list[Any]) -> None:
        target = self.stack[-1]
        for key, value in zip(items[::2], items[1::2], strict=True):
            # A deeply nested tuple as a key would overflow the C stack when it is hashed.
            if not isinstance(key, str):
                raise ForbiddenPickle("it has a key that is not text")
            target[key] = value

    def _global(self, name: str) -> Global:
        if name not in self.calls:
            raise ForbiddenPickle(f"it asks for {name.replace(' ', '.')}, which no plain data need")
        return Global(name)

    def _call(self, function: Any, arguments: Any) -> Any:
        if not isinstance(function, Global) or not isinstance(arguments, tuple):
            raise ForbiddenPickle("it calls something that is not a function")
        return self.calls[function.name](*arguments)
