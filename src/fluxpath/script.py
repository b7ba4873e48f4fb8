"""What a TorchScript gradient graph may hold: straight-line arithmetic on tensors.

TorchScript is a programming language whose operators can read and write files, so a file is not given to
torch as it is. What its code and its pickles say is checked against what an export writes, and written anew:
torch parses no text and unpickles no bytes that somebody else wrote. This needs only the standard library.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping, Sequence

from fluxpath.archive import MANIFEST
from fluxpath.errors import ArtifactError
from fluxpath.script_constants import checked_constants
from fluxpath.script_operators import OPERATORS, UNFILLED

_LARGEST_CODE = 2**23
"""Bytes of code; a network of hundreds of layers takes one of them in ten."""

_ROOT = "archive"
_CODE, _CLASS = "__torch__/fluxpath.py", "__torch__.fluxpath.Graph"
_KNOWN = re.compile(
    r"data\.pkl|constants\.pkl|constants/\d{1,6}|(\.data/)?version|byteorder|\.data/serialization_id|"
    rf"code/__torch__(/\w+)*\.py|extra/{re.escape(MANIFEST)}",
    re.ASCII,
)
_MODULE = re.compile(
    rb"\x80\x02c(__torch__[.\w]+)\n(\w+)\n(?:q\x00)?\)\x81\}(?:q.)?\(?u?b(?:q.)?\.", re.DOTALL
)
"""The pickle of a module without attributes: a frozen one has its weights among the constants."""

_MODULE_TEXT = b"\x80\x02c__torch__.fluxpath\nGraph\n)\x81}b."

_SIZES = {"device", "max", "min"}
"""What the code may call in `ops.prim`."""

_CONVERSIONS = {"int", "float", "bool"}
_RESERVED = {*_CONVERSIONS, "torch", "ops", "CONSTANTS", "self", "inf", "nan", "annotate"}
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_STRING = re.compile(r"[A-Za-z0-9_.:]{0,64}")


def checked(entries: Mapping[str, bytes]) -> dict[str, bytes]:
    """What torch may load of an archive's entries, written anew; ArtifactError if there is anything else."""
    found = {name.partition("/")[2]: content for name, content in entries.items()}
    for name in found:
        if not _KNOWN.fullmatch(name):
            raise _refusal(f"the entry {name[:60]!a}")
    codes = [name for name in found if name.startswith("code/")]
    if len(codes) != 1 or found.get("byteorder", b"little") != b"little":
        raise _refusal("several modules, none, or numbers in another byte order")
    if not _MODULE.fullmatch(found.get("data.pkl", b"")):
        raise _refusal("a module with attributes")
    version = found.get("version", found.get(".data/version", b""))
    if not re.fullmatch(rb"\d{1,3}\n", version) or {"version", ".data/version"} <= set(found):
        raise _refusal("no version")
    constants, count = checked_constants(found)
    written = {
        "data.pkl": _MODULE_TEXT,
        f"code/{_CODE}": _code(found[codes[0]], count).encode(),
        **constants,
        ".data/version" if ".data/version" in found else "version": version,
        "byteorder": b"little",
    }
    extra = f"extra/{MANIFEST}"
    if extra in found:
        written = {extra: found[extra], **written}
    return {f"{_ROOT}/{name}": content for name, content in written.items()}


def _code(text: bytes, constants: int) -> str:
    """The module's code, written anew."""
    if len(text) > _LARGEST_CODE:
        raise _refusal(f"{len(text)} bytes of code")
    try:
        tree = ast.parse(text.decode("ascii"))
        function = _function(tree)
        return _written(function, _Body(constants).statements(function))
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise _refusal("code that cannot be read") from error


def _function(tree: ast.Module) -> ast.FunctionDef:
    """The only method of the only class."""
    if len(tree.body) == 1 and isinstance(made := tree.body[0], ast.ClassDef):
        *settings, function = made.body
        plain = all(ast.unparse(s) in ("__parameters__ = []", "__buffers__ = []") for s in settings)
        if plain and isinstance(function, ast.FunctionDef) and function.name == "forward":
            return function
    raise _refusal("code that is not one class with one method")


def _written(function: ast.FunctionDef, statements: Sequence[str]) -> str:
    names = ", ".join(f"{a.arg}: Tensor" for a in function.args.args[1:])
    head = f"def forward(self: {_CLASS}, {names}) -> Dict[str, Tensor]:"
    body = "".join(f"    {statement}\n" for statement in statements)
    return f"class Graph(Module):\n  __parameters__ = []\n  __buffers__ = []\n  {head}\n{body}"


class _Body:
    """Writes the statements of a method, and knows the names that have a value so far."""

    def __init__(self, constants: int) -> None:
        self._constants = constants
        self._known: set[str] = set()

    def statements(self, function: ast.FunctionDef) -> list[str]:
        given = function.args
        if given.posonlyargs or given.vararg or given.kwonlyargs or given.kwarg or given.defaults:
            raise _refusal("a method with unusual parameters")
        for argument in given.args[1:]:
            if argument.annotation is None or ast.unparse(argument.annotation) != "Tensor":
                raise _refusal("a parameter that is no tensor")
            self._new(argument.arg)
        written = [self._statement(s) for s in function.body]
        if not written or not isinstance(function.body[-1], ast.Return) or function.decorator_list:
            raise _refusal("a method without a result")
        return written

    def _statement(self, statement: ast.stmt) -> str:
        match statement:
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Dict(keys=keys, values=values)):
                return f"{self._new(name)} = {self._result(keys, values)}"
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                written = self._value(value)
                return f"{self._new(name)} = {written}"
            case ast.Assign(targets=[ast.Tuple(elts=elements)], value=value):
                written = self._value(value)
                names = [self._new(e.id) if isinstance(e, ast.Name) else self._refuse(e) for e in elements]
                return (
                    f"{', '.join(names)}, = {written}"
                    if len(names) == 1
                    else f"{', '.join(names)} = {written}"
                )
            case ast.Expr(value=ast.Call() as value):
                return self._value(value)
            case ast.Return(value=ast.Dict(keys=keys, values=values)):
                return f"return {self._result(keys, values)}"
            case ast.Return(value=ast.Name(id=name)) if name in self._known:
                return f"return {name}"
        return self._refuse(statement)

    def _result(self, keys: Sequence[ast.expr | None], values: Sequence[ast.expr]) -> str:
        pairs = zip(keys, values, strict=True)
        return "{" + ", ".join(f"{self._text(k)}: {self._value(v)}" for k, v in pairs) + "}"

    def _value(self, value: ast.expr) -> str:
        match value:
            case ast.Name(id=name) if name in self._known or name in ("inf", "nan"):
                return name
            case ast.Constant(value=None | bool()):
                return repr(value.value)
            case ast.Constant(value=int(number)) if number < 2**63:
                return repr(number)
            case ast.Constant(value=float(number)) if number < float("inf"):
                return repr(number)
            case ast.Constant(value=str()):
                return self._text(value)
            case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float()) | ast.Name(id="inf")):
                return f"-{self._value(value.operand)}"
            case ast.List(elts=elements):
                return f"[{self._values(elements)}]"
            case ast.Tuple(elts=elements) if len(elements) > 1:
                return f"({self._values(elements)})"
            case ast.Attribute(value=ast.Name(id="CONSTANTS"), attr=name):
                return self._constant(name)
            case ast.Subscript(value=ast.Name() as whole, slice=ast.Constant() | ast.UnaryOp() as index):
                return f"{self._value(whole)}[{self._value(index)}]"
            case ast.Call(func=ast.Name(id="annotate"), args=[kind, ast.List() as listed], keywords=[]):
                return f"annotate({self._type(kind)}, {self._value(listed)})"
            case ast.Call():
                return self._call(value)
        return self._refuse(value)

    def _values(self, values: Sequence[ast.expr]) -> str:
        return ", ".join(map(self._value, values))

    def _call(self, call: ast.Call) -> str:
        named = [f"{self._word(k.arg)}={self._value(k.value)}" for k in call.keywords]
        given = ", ".join([*map(self._value, call.args), *named])
        match call.func:
            case ast.Name(id=name) if name in _CONVERSIONS:
                return f"{name}({given})"
            case ast.Attribute(value=ast.Attribute(value=ast.Name(id="ops"), attr="prim"), attr=name) if (
                name in _SIZES
            ):
                return f"ops.prim.{name}({given})"
            case ast.Attribute(value=ast.Name(id="torch"), attr=name) if name in UNFILLED:
                # Unless it is written over whole, its result would show memory of this process.
                return f"torch.zero_(torch.{name}({given}))"
            case ast.Attribute(value=ast.Name(id="torch"), attr="zero_") if given.startswith("torch.zero_("):
                return given
            case ast.Attribute(value=ast.Name(id="torch"), attr=name) if name in OPERATORS:
                return f"torch.{name}({given})"
        raise _refusal(f"a call of '{ast.unparse(call.func)[:60]}'")

    def _constant(self, name: str) -> str:
        number = name.removeprefix("c")
        if not re.fullmatch(r"\d{1,9}", number, re.ASCII) or int(number) >= self._constants:
            raise _refusal(f"the unknown constant '{name[:20]}'")
        return f"CONSTANTS.c{int(number)}"

    def _type(self, kind: ast.expr) -> str:
        match kind:
            case ast.Name(id="Tensor" | "int" | "float" | "bool" as name):
                return name
            case ast.Subscript(value=ast.Name(id="List" | "Optional" as name), slice=inner):
                return f"{name}[{self._type(inner)}]"
        return self._refuse(kind)

    def _text(self, value: ast.expr | None) -> str:
        if (
            isinstance(value, ast.Constant)
            and isinstance(value.value, str)
            and _STRING.fullmatch(value.value)
        ):
            return f'"{value.value}"'
        return self._refuse(value or ast.Constant(None))

    def _new(self, name: str) -> str:
        """A name that gets its value here, for the only time."""
        if name in self._known or name in _RESERVED or name.startswith("__"):
            raise _refusal(f"a second value for the name {name[:60]!a}")
        self._known.add(self._word(name))
        return name

    def _word(self, name: str | None) -> str:
        if name is None or not _NAME.fullmatch(name):
            raise _refusal("arguments without a name")
        return name

    def _refuse(self, part: ast.AST) -> str:
        raise _refusal(f"'{' '.join(ast.unparse(part).split())[:60]}'")


def _refusal(what: str) -> ArtifactError:
    return ArtifactError(
        f"the file's TorchScript holds {what}, which no export writes and could do anything: open it with "
        "trust=True (on the command line, --trust) only if you trust whoever made it"
    )
