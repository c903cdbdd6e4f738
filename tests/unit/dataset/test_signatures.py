"""Signatures that a change breaks are given out no longer; the others stay as they are."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.sequence import Sequence

from reconcile.core import attributes as at
from reconcile.core.attributes import Assign, Follow, element
from reconcile.dataset import splice
from reconcile.dataset.elements import encoding_of, scan, tail_elements
from reconcile.dataset.facts import read
from reconcile.dataset.originals import Coercion
from reconcile.dataset.overlay import give_out, plan, take_back
from reconcile.dataset.signatures import broken, is_signed, without_broken
from tests.support.instances import instance
from tests.unit.dataset.test_coding import SYNTAXES, decoded, encoded

NOW = datetime(2026, 11, 23, tzinfo=UTC)
NAME = 0x00100010
STUDY = 0x0020000D
PIXELS = 0x7FE00010


def parameters(mac_id: int, *tags: int) -> Dataset:
    item = Dataset()
    item.MACIDNumber = mac_id
    item.MACCalculationTransferSyntaxUID = "1.2.840.10008.1.2.1"
    item.MACAlgorithm = "SHA256"
    item.DataElementsSigned = list(tags)
    return item


def signature(mac_id: int) -> Dataset:
    item = Dataset()
    item.MACIDNumber = mac_id
    item.DigitalSignatureUID = f"1.2.3.{mac_id}"
    item.Signature = bytes([mac_id] * 8)
    return item


def signed(*lists: tuple[int, ...], **more: object) -> Dataset:
    """An instance with one signature for each list of tags."""
    dataset = instance(**more)
    dataset.MACParametersSequence = [parameters(n, *tags) for n, tags in enumerate(lists)]
    dataset.DigitalSignaturesSequence = [signature(n) for n in range(len(lists))]
    dataset.DataSetTrailingPadding = bytes(8)
    return dataset


def coerce(*changes) -> Coercion:
    return Coercion(changes, NOW, "RECONCILE", "CT_A")


def renamed() -> Assign:
    return Assign(at.PATIENT_NAME, element("PN", {"Alphabetic": "ROE^RICHARD"}))


def given(content: bytes, syntax: str, coercion: Coercion) -> bytes:
    return b"".join(give_out(read(content, syntax), [coercion]))


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_only_what_is_broken_goes(syntax):
    """Of two signatures the one that covers the name goes, with its MAC parameters."""
    content = encoded(signed((NAME, STUDY), (PIXELS,)), syntax)
    out = decoded(given(content, syntax, coerce(renamed())), syntax)
    was = decoded(content, syntax)

    assert [was.DigitalSignaturesSequence[1]] == list(out.DigitalSignaturesSequence)
    assert [was.MACParametersSequence[1]] == list(out.MACParametersSequence)
    item = out.OriginalAttributesSequence[0].ModifiedAttributesSequence[0]
    assert was.DigitalSignaturesSequence == item.DigitalSignaturesSequence
    assert was.MACParametersSequence == item.MACParametersSequence
    assert bytes(8) == out.DataSetTrailingPadding


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_taking_back_gives_the_signature_back(syntax):
    """Undone, the data set is byte for byte what it was, signatures behind the pixels."""
    content = encoded(signed((NAME,)), syntax, undefined=True)
    coercion = coerce(renamed())
    made = plan(read(content, syntax), coercion.assigns)
    out = given(content, syntax, coercion)

    assert "DigitalSignaturesSequence" not in decoded(out, syntax)
    assert content == take_back(out, syntax, made.absent)


def test_a_signature_of_something_else_stays():
    """What covers nothing that changes is given out byte for byte."""
    content = encoded(signed((PIXELS, 0x00080018)), SYNTAXES[1])
    out = given(content, SYNTAXES[1], coerce(renamed()))

    assert content[content.index(b"\xfe\x4f\x01\x00") :] in out
    assert "FFFAFFFA" not in plan(read(content, SYNTAXES[1]), [renamed()]).original


def test_a_signature_that_cannot_be_read_covers_everything():
    """Whose MAC parameters are missing: it is not believed to be unbroken."""
    dataset = signed((PIXELS,))
    dataset.MACParametersSequence[0].MACIDNumber = 7
    out = decoded(
        given(encoded(dataset, SYNTAXES[1]), SYNTAXES[1], coerce(renamed())), SYNTAXES[1]
    )

    assert "DigitalSignaturesSequence" not in out


def test_a_sequence_that_is_signed_breaks_with_what_is_inside():
    """A reference that follows changes its sequence, and the signature over it."""
    item = Dataset()
    item.StudyInstanceUID = "1.2.3"
    dataset = signed((0x0040A375,), CurrentRequestedProcedureEvidenceSequence=[item])
    content = encoded(dataset, SYNTAXES[1])
    received = read(content, SYNTAXES[1])

    assert is_signed(received, 0x0040A375)
    assert not is_signed(received, NAME)
    out = given(content, SYNTAXES[1], coerce(Follow((("", "1.2.3", "2.25.3"),))))
    assert "DigitalSignaturesSequence" not in decoded(out, SYNTAXES[1])


def test_a_signature_inside_an_item():
    """An item's own signature goes when what it covers in the item changes."""
    item = Dataset()
    item.StudyInstanceUID = "1.2.3"
    item.MACParametersSequence = [parameters(1, STUDY)]
    item.DigitalSignaturesSequence = [signature(1)]
    other = Dataset()
    other.StudyInstanceUID = "1.2.4"
    other.MACParametersSequence = [parameters(1, STUDY)]
    other.DigitalSignaturesSequence = [signature(1)]
    dataset = instance(CurrentRequestedProcedureEvidenceSequence=Sequence([item, other]))
    content = encoded(dataset, SYNTAXES[1])
    out = given(content, SYNTAXES[1], coerce(Follow((("", "1.2.3", "2.25.3"),))))
    first, second = decoded(out, SYNTAXES[1]).CurrentRequestedProcedureEvidenceSequence

    assert "DigitalSignaturesSequence" not in first
    assert other == second


@pytest.fixture
def walks(monkeypatch) -> list[int]:
    """One entry for every walk over a tail."""
    made = []

    def counted(header):
        made.append(header.tail)
        return tail_elements(header)

    monkeypatch.setattr(splice, "tail_elements", counted)
    return made


def test_without_parameters_nothing_behind_the_pixels_is_looked_at(walks):
    """A data set without MAC parameters is not walked to its end, and its tail stays."""
    dataset = signed((NAME,))
    del dataset.MACParametersSequence
    content = encoded(dataset, SYNTAXES[1])
    out = given(content, SYNTAXES[1], coerce(renamed()))

    assert out.endswith(content[content.index(b"\xe0\x7f\x10\x00") :])
    assert not is_signed(read(content, SYNTAXES[1]), NAME)
    assert not walks


def test_a_tail_is_walked_once(walks):
    """However many coercions there are, and whatever they break."""
    found = read(encoded(signed((NAME,), (STUDY,), (PIXELS,)), SYNTAXES[1]), SYNTAXES[1])
    study = Assign(at.STUDY_INSTANCE_UID, element("UI", "2.25.7"))
    out = b"".join(give_out(found, [coerce(renamed()), coerce(study)]))

    left = decoded(out, SYNTAXES[1])[0xFFFAFFFA].value
    assert [2] == [each.MACIDNumber for each in left]
    assert 1 == len(walks)


def encapsulated(*lists: tuple[int, ...]) -> bytes:
    dataset = signed(*lists)
    dataset.PixelData = encapsulate([bytes(1024 * 1024), bytes(range(256))])
    dataset["PixelData"].VR = "OB"
    dataset["PixelData"].is_undefined_length = True
    return encoded(dataset, SYNTAXES[1])


@pytest.mark.parametrize("padding", [b"", bytes(2000), b"\x10\x00\x10"])
def test_what_stands_around_a_signature_is_not_copied(padding):
    """Fragments before it and padding behind it are views into what was received."""
    content = encapsulated((NAME,)) + padding
    pieces = list(give_out(read(content, SYNTAXES[1]), [coerce(renamed())]))
    copied = sum(len(p) for p in pieces if memoryview(p).obj is not content)
    out = b"".join(pieces)

    assert copied < 4096
    assert out.endswith(bytes(8) + padding)
    absent = plan(read(content, SYNTAXES[1]), [renamed()]).absent
    assert content == take_back(out, SYNTAXES[1], absent)


def test_behind_pixel_data_that_is_cut_off_nothing_is_found():
    """What came broken goes out as it came."""
    content = encapsulated((NAME,))
    cut = content[: content.index(b"\xe0\x7f\x10\x00") + 5000]
    found = read(cut, SYNTAXES[1])

    assert not broken(found, {NAME: None})
    assert b"".join(found.edited({NAME: None}).tail_pieces()) == bytes(found.tail)


def test_a_signature_covers_everything_where_its_list_is_not_to_be_believed():
    """None, an empty one, one that lists signatures, and two for one MAC ID."""
    bare, empty = signed((PIXELS,)), signed(())
    del bare.MACParametersSequence[0].DataElementsSigned
    itself, twice = signed((PIXELS, 0xFFFAFFFA)), signed((PIXELS,))
    twice.MACParametersSequence.append(parameters(0, STUDY))
    for dataset in (bare, empty, itself, twice):
        found = read(encoded(dataset, SYNTAXES[1]), SYNTAXES[1])
        assert is_signed(found, NAME)
        assert {0xFFFAFFFA: None, 0x4FFE0001: None} == broken(found, {NAME: None})


def test_what_is_no_sequence_is_no_signature():
    """It can be verified by nobody, and is given out as it came."""
    for tag in (0xFFFAFFFA, 0x4FFE0001):
        dataset = signed((PIXELS,))
        del dataset[tag]
        dataset.add_new(tag, "OB", b"no items")
        found = read(encoded(dataset, SYNTAXES[1]), SYNTAXES[1])
        assert tag not in broken(found, {NAME: None})


def test_an_element_that_was_listed_and_is_added_breaks():
    """Adding breaks nothing, unless the list says that there was none."""
    found = read(encoded(signed((PIXELS, 0x00080015)), SYNTAXES[1]), SYNTAXES[1])

    assert broken(found, {0x00080015: None})
    assert not broken(found, {0x04000561: None})


def test_parameters_that_no_signature_used_stay():
    """Only what the broken signature named goes with it."""
    dataset = signed((NAME,), (PIXELS,))
    dataset.MACParametersSequence.append(parameters(9, NAME))
    out = decoded(
        given(encoded(dataset, SYNTAXES[1]), SYNTAXES[1], coerce(renamed())), SYNTAXES[1]
    )

    assert [1, 9] == [p.MACIDNumber for p in out.MACParametersSequence]


def test_edits_that_break_nothing_come_back_as_they_are():
    """Of an item, too: no further edits, and the same object."""
    content = encoded(signed((STUDY,)), SYNTAXES[1])
    header = scan(content, encoding_of(SYNTAXES[1]), nested=True)
    edits = {NAME: None}

    assert without_broken(header, edits) is edits
    assert {STUDY, 0xFFFAFFFA, 0x4FFE0001} == without_broken(header, {STUDY: None}).keys()
