"""Photos and settings as browsers and curl send them: forms, and texts in an address."""

from __future__ import annotations

from typing import Any

from python_multipart import MultipartParser
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import parse_options_header

from fluxpath.checks import need
from fluxpath.errors import InputError
from fluxpath.runtime.serve.http import framing
from fluxpath.runtime.serve.protocol.errors import UnsupportedError

MOST_FIELDS = 64


def uploaded(content_type: str, data: bytes) -> tuple[bytes, dict[str, str]]:
    """The photo and the other fields of a form; a body that is no form is the photo itself."""
    kind, options = parse_options_header(content_type)
    if kind != b"multipart/form-data":
        if kind in (b"application/json", b"application/x-www-form-urlencoded"):
            raise UnsupportedError(
                "send the photo as the body, with its type such as image/jpeg, or in a form's field 'image'"
            )
        need(data, "the body is empty, and must be a photo")
        return data, {}
    parts = _parts(data, options.get(b"boundary", b""))
    photo = parts.pop("image", None)
    if photo is None:
        raise InputError("the form has no field 'image' with the photo")
    try:
        return photo, {name: value.decode() for name, value in parts.items()}
    except UnicodeDecodeError as error:
        raise InputError("a field of the form is no text") from error


def _parts(data: bytes, boundary: bytes) -> dict[str, bytes]:
    """The fields of a form by name."""
    need(boundary, "the form's Content-Type has no boundary")
    found: dict[str, bytes] = {}
    header, value, body = bytearray(), bytearray(), bytearray()
    name: list[str] = []

    def on_header_end() -> None:
        if bytes(header).lower() == b"content-disposition":
            field = parse_options_header(bytes(value))[1].get(b"name", b"")
            name[:] = [field.decode("utf-8", "replace")]
        header.clear()
        value.clear()

    def on_part_end() -> None:
        need(name and name[0] not in found, "the form has a field without a name, or one twice")
        need(len(found) < MOST_FIELDS, f"the form has more than {MOST_FIELDS} fields")
        found[name[0]] = bytes(body)
        body.clear()
        name.clear()

    parser = MultipartParser(
        boundary,
        {
            "on_header_field": lambda d, s, e: header.extend(d[s:e]),
            "on_header_value": lambda d, s, e: value.extend(d[s:e]),
            "on_header_end": on_header_end,
            "on_part_data": lambda d, s, e: body.extend(d[s:e]),
            "on_part_end": on_part_end,
        },
    )
    ended: list[bool] = []
    parser.callbacks["on_end"] = lambda: ended.append(True)
    try:
        parser.write(data)
        parser.finalize()
    except FormParserError as error:
        raise InputError(f"the form cannot be read: {error}") from error
    need(ended, "the form ends within a field")
    return found


def value(text: str) -> Any:
    """A form's text as a number, a truth value, nothing, a list or object of JSON, or else as it is."""
    if not isinstance(text, str):
        return text
    lower = text.strip().lower()
    if lower in ("true", "false", "none", "null"):
        return {"true": True, "false": False}.get(lower)
    if lower[:1] in ("[", "{"):
        return framing.document(f'{{"value": {text}}}'.encode(), 2**20)["value"]
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
