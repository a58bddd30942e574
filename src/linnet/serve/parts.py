"""The files of a form: ``multipart/form-data``."""

from __future__ import annotations

from linnet.serve.refused import Refused

MAX_FILES = 1000
MAX_HEAD_BYTES = 8 << 10
"""The most bytes of the headers of one part."""


class _Part:
    """One part, as the parser comes by it."""

    def __init__(self) -> None:
        self.headers: dict[str, str] = {}
        self.key, self.value = bytearray(), bytearray()
        self.content = bytearray()
        self.bytes = 0

    def grow(self, into: bytearray, data: bytes, start: int, end: int) -> None:
        self.bytes += end - start
        if self.bytes > MAX_HEAD_BYTES:
            raise Refused(
                413, f"a part of the form has more than {MAX_HEAD_BYTES} bytes of headers"
            )
        into += data[start:end]

    def header(self) -> None:
        key = self.key.decode("latin-1").strip().lower()
        self.headers[key] = self.value.decode("latin-1").strip()
        self.key, self.value = bytearray(), bytearray()


def files_of(content: bytes, boundary: str) -> list[tuple[str, bytes]]:
    """The type and the content of each file in a form; its other fields are left out."""
    try:
        from python_multipart.exceptions import FormParserError
        from python_multipart.multipart import MultipartParser
    except ImportError:
        raise Refused(
            415, "forms need a package on the server: pip install 'linnet[serve]'; or send one "
            "picture as the body, with Content-Type: image/png",
        ) from None  # fmt: skip
    if not boundary or len(boundary) > 70 or not boundary.isascii():
        raise Refused(400, "the form has no boundary of 1 to 70 letters in its Content-Type")
    found: list[_Part] = []

    def begin() -> None:
        if len(found) >= MAX_FILES:
            raise Refused(413, f"more than {MAX_FILES:,} parts in the form (MAX_FILES)")
        found.append(_Part())

    ended: list[bool] = []
    parser = MultipartParser(
        boundary.encode(),
        {
            "on_part_begin": begin,
            "on_header_field": lambda data, start, end: found[-1].grow(
                found[-1].key, data, start, end
            ),
            "on_header_value": lambda data, start, end: found[-1].grow(
                found[-1].value, data, start, end
            ),
            "on_header_end": lambda: found[-1].header(),
            "on_part_data": lambda data, start, end: found[-1].content.extend(data[start:end]),
            "on_end": lambda: ended.append(True),
        },
    )
    try:
        parser.write(content)
        parser.finalize()
    except FormParserError as error:
        raise Refused(400, f"the form cannot be read: {str(error)[:200]}") from None
    if not ended:
        raise Refused(400, "the form is cut off: its last boundary is missing")
    return [
        (
            _type(part.headers.get("content-type", "")),
            bytes(part.content),
        )
        for part in found
        if "filename" in part.headers.get("content-disposition", "")
    ]


def _type(header: str) -> str:
    return header.partition(";")[0].strip().lower()
