"""Which forms and transfer syntaxes a reader takes."""

from __future__ import annotations

import pytest

from reconcile.web.accept import Form, Taken, taken, takes_json

EXPLICIT = "1.2.840.10008.1.2.1"
DEFLATED = "1.2.840.10008.1.2.1.99"
IMPLICIT = "1.2.840.10008.1.2"
JPEG = "1.2.840.10008.1.2.4.50"
RELATED = 'multipart/related; type="application/dicom"'

DEFAULT = Taken(Form.MULTIPART, (EXPLICIT,), or_stored=True)
SINGLE = DEFAULT._replace(form=Form.SINGLE)
BIG = "1.2.840.10008.1.2.2"


def only(*syntaxes: str) -> Taken:
    return Taken(Form.MULTIPART, syntaxes, or_stored=False)


@pytest.mark.parametrize(
    ("accept", "found"),
    [
        ("*/*", [DEFAULT]),
        ("multipart/*", [DEFAULT]),
        (RELATED, [DEFAULT]),
        ("multipart/related;type=application/dicom", [DEFAULT]),
        ("APPLICATION/DICOM", [SINGLE]),
        ("application/*", [SINGLE]),
        (f"{RELATED}; transfer-syntax={JPEG}", [only(JPEG)]),
        (f'{RELATED}; transfer-syntax="*"', [only("*")]),
        (f"{RELATED}; transfer-syntax={IMPLICIT}", []),
        (
            f"{RELATED};transfer-syntax={DEFLATED};q=.5,{RELATED};transfer-syntax={JPEG}",
            [only(JPEG, DEFLATED)],
        ),
        (
            f"{RELATED}; transfer-syntax={DEFLATED}, */*;q=0.1",
            [Taken(Form.MULTIPART, (DEFLATED, EXPLICIT), or_stored=True)],
        ),
        (f"application/dicom; q=0.9, {RELATED}; q=0.8", [SINGLE, DEFAULT]),
        ("application/dicom; q=0, image/png", []),
        ("application/dicom; q=much", []),
        ("application/dicom+json", []),
        ('multipart/related; type="application/octet-stream"', []),
        (",,;;=", []),
        ("image/png," * 1000 + "*/*", []),
    ],
)
def test_what_is_liked_best_comes_first(accept: str, found: list[Taken]) -> None:
    """
    By quality, then by order; "*" is as it is stored, and Explicit VR Little Endian is
    meant where no transfer syntax is named.
    """
    assert taken(accept) == found


@pytest.mark.parametrize(
    ("how", "stored", "ways"),
    [
        (DEFAULT, JPEG, [(EXPLICIT,), ()]),
        (DEFAULT, IMPLICIT, [(EXPLICIT,)]),
        (only("*"), JPEG, [()]),
        (only("*"), DEFLATED, [()]),
        (only("*"), BIG, [(EXPLICIT,)]),
        (only(JPEG, "*"), IMPLICIT, [(JPEG, EXPLICIT)]),
        (only(JPEG), JPEG, [(JPEG,)]),
    ],
)
def test_what_is_not_for_the_web_is_said_otherwise(
    how: Taken, stored: str, ways: list[tuple[str, ...]]
) -> None:
    """
    PS3.18 8.7.3: neither Implicit VR nor Big Endian, also where it is stored so.
    """
    assert how.ways(stored) == ways


@pytest.mark.parametrize(
    ("accept", "takes"),
    [
        ("", True),
        ("*/*", True),
        ("application/dicom+json", True),
        ("application/json;q=0.1, text/html", True),
        ("application/dicom+json;q=0", False),
        ('multipart/related; type="application/dicom+xml"', False),
    ],
)
def test_json_is_taken_by_whoever_says_so(accept: str, takes: bool) -> None:
    """
    By either of its names, or by any range that holds it.
    """
    assert takes_json(accept) is takes
