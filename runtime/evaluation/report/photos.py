"""Pictures inside a page."""

from __future__ import annotations

import base64
import io

from PIL import Image


def data_uri(picture: Image.Image) -> str:
    """The picture as a data URI: as JPEG or PNG, whichever is smaller."""
    forms = []
    for kind, options in (("JPEG", {"quality": 88}), ("PNG", {})):
        stream = io.BytesIO()
        picture.save(stream, kind, **options)
        forms.append((stream.getvalue(), kind.lower()))
    data, kind = min(forms, key=lambda form: len(form[0]))
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
