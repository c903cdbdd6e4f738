"""Which form of an instance a reader takes."""

from __future__ import annotations

import pytest

from reconcile.web.accept import Form, chosen_form

HELD = "1.2.840.10008.1.2.4.50"
MULTIPART = 'multipart/related; type="application/dicom"'


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        ("", Form.MULTIPART),
        ("*/*", Form.MULTIPART),
        ("multipart/*", Form.MULTIPART),
        (MULTIPART, Form.MULTIPART),
        ("multipart/related;type=application/dicom", Form.MULTIPART),
        ("APPLICATION/DICOM", Form.SINGLE),
        ("application/*", Form.SINGLE),
        (f"{MULTIPART}; transfer-syntax={HELD}", Form.MULTIPART),
        (f'{MULTIPART}; transfer-syntax="*"', Form.MULTIPART),
        (f"{MULTIPART}; transfer-syntax=1.2.840.10008.1.2", None),
        (f"{MULTIPART}; transfer-syntax=1.2.840.10008.1.2, */*;q=0.1", Form.MULTIPART),
        (f"application/dicom; q=0.9, {MULTIPART}; q=0.8", Form.SINGLE),
        ("application/dicom; q=0, image/png", None),
        ("application/dicom; q=much", None),
        ("application/dicom+json", None),
        ('multipart/related; type="application/octet-stream"', None),
        (",,;;=", None),
        ("image/png," * 1000 + "*/*", None),
    ],
)
def test_the_best_form_that_is_taken_is_sent(accept, form):
    """
    By quality, then by order; what asks for another transfer syntax takes nothing.
    """
    assert chosen_form(accept, HELD) is form
