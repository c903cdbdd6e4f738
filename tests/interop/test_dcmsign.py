"""What DCMTK's dcmsign makes of the signatures that we give out, and of those we do not."""

from __future__ import annotations

import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pydicom
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from reconcile.core import attributes as at
from reconcile.core.attributes import Assign, element
from reconcile.dataset.facts import read
from reconcile.dataset.originals import Coercion
from reconcile.dataset.overlay import give_out
from tests.support.instances import data_offset, instance, part10

pytestmark = pytest.mark.skipif(
    shutil.which("dcmsign") is None, reason="DCMTK is not installed"
)
NOW = datetime(2026, 11, 23, tzinfo=UTC)


@pytest.fixture(scope="module")
def signer(tmp_path_factory):
    """(key, certificate) as PEM files."""
    folder = tmp_path_factory.mktemp("signer")
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "scanner")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(datetime.now(UTC) - timedelta(days=1))
        .not_valid_after(datetime.now(UTC) + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    plain = serialization.PrivateFormat.TraditionalOpenSSL
    (folder / "key.pem").write_bytes(
        key.private_bytes(pem, plain, serialization.NoEncryption())
    )
    (folder / "certificate.pem").write_bytes(certificate.public_bytes(pem))
    return folder / "key.pem", folder / "certificate.pem"


def dcmsign(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["dcmsign", *map(str, arguments)], capture_output=True, text=True, check=False
    )


def signed(folder: Path, signer, *tags: str) -> Path:
    """A file with a signature over these attributes."""
    came, made = folder / "came.dcm", folder / "signed.dcm"
    came.write_bytes(part10(instance(PatientComments="kept")))
    chosen = [part for tag in tags for part in ("-t", tag)]
    done = dcmsign("--sign", *signer, came, made, *chosen, "+m2")
    assert 0 == done.returncode, done.stderr
    return made


def given(path: Path, *, study: str = "") -> Path:
    """The file as given out, with the patient and perhaps the study coerced."""
    file = path.read_bytes()
    offset = data_offset(file)
    changes = [Assign(at.PATIENT_ID, element("LO", "E1"))]
    if study:
        changes.append(Assign(at.STUDY_INSTANCE_UID, element("UI", study)))
    coercion = Coercion(tuple(changes), NOW, "RECONCILE", "CT_A")
    syntax = str(pydicom.dcmread(path).file_meta.TransferSyntaxUID)
    out = path.with_name("given.dcm")
    received = read(file[offset:], syntax)
    out.write_bytes(file[:offset] + b"".join(give_out(received, [coercion])))
    return out


def verified(path: Path, signer) -> tuple[int, str]:
    done = dcmsign("--verify", "+cf", signer[1], path)
    return done.returncode, done.stdout + done.stderr


def test_a_signature_of_what_did_not_change_still_verifies(tmp_path, signer):
    """A Patient ID is coerced, pixels and UIDs are signed: a verifier is content."""
    made = signed(tmp_path, signer, "StudyInstanceUID", "SOPInstanceUID", "PixelData")
    assert 0 == verified(made, signer)[0]
    code, told = verified(given(made), signer)

    assert (0, 1) == (code, told.count("Signature Verification : OK"))


def test_a_broken_signature_is_not_given_out(tmp_path, signer):
    """The Study UID is signed and coerced: a verifier finds none, no bad one."""
    made = signed(tmp_path, signer, "StudyInstanceUID", "PixelData")
    out = given(made, study="2.25.7")
    code, told = verified(out, signer)

    assert 0 == code
    assert "no signatures found in dataset" in told
    assert "within the Original Attributes Sequence, ignoring" in told
    item = pydicom.dcmread(out).OriginalAttributesSequence[0].ModifiedAttributesSequence[0]
    assert 1 == len(item.DigitalSignaturesSequence)


def test_left_in_place_it_would_be_found_bad(tmp_path, signer):
    """Why it goes: a verifier calls a signature over a changed attribute wrong."""
    made = signed(tmp_path, signer, "StudyInstanceUID")
    dataset = pydicom.dcmread(made)
    dataset.StudyInstanceUID = "2.25.7"
    dataset.save_as(made)

    code, told = verified(made, signer)

    assert 0 != code
    assert "OK" not in told
