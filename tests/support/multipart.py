"""Bodies of multipart/related, as a client that stores makes them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

BOUNDARY = "0f3cf5c0-70e0"
RELATED = f'multipart/related; type="application/dicom"; boundary={BOUNDARY}'
DICOM_PART = {"Content-Type": "application/dicom"}


def part(content: bytes, headers: Mapping[str, str] = DICOM_PART) -> bytes:
    """A delimiter and one part; the next delimiter begins with a line end."""
    said = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"\r\n--{BOUNDARY}\r\n{said}\r\n".encode("ascii") + content


def body(contents: Iterable[bytes]) -> bytes:
    """A whole body."""
    return b"".join(map(part, contents)) + f"\r\n--{BOUNDARY}--".encode("ascii")


def parts_of(content_type: str, content: bytes) -> Iterator[tuple[str, bytes]]:
    """(what stands before the empty line, what stands after it) of each part."""
    boundary = content_type.rpartition("boundary=")[2].strip('"').encode("ascii")
    begin, *middle, end = (b"\r\n" + content).split(b"\r\n--" + boundary)
    assert not begin
    assert end.strip() == b"--"
    for each in middle:
        head, empty, rest = each.partition(b"\r\n\r\n")
        assert empty
        yield head.decode("ascii").strip(), rest
