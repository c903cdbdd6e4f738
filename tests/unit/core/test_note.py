"""Checkpoints and keys as text: those of others are read, what is none is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconcile.core.merkle import EMPTY_ROOT
from reconcile.core.note import (
    COSIGNATURE,
    Checkpoint,
    Note,
    note,
    verifier_key,
)
from reconcile.errors import ConfigurationError, WrongUse
from reconcile.flows.signing import Signer, is_signed, log_keys

# The example of golang.org/x/mod/sumdb/note, and the one of C2SP's tlog-cosignature.
PETER = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
EXAMPLE = (
    "example.com/behind-the-sofa\n20852163\n"
    "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n"
    "\u2014 example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4"
    "URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n"
    "\u2014 witness.example.com/w1 jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZ"
    "CB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==\n"
)
AT = Checkpoint("log.example/1", 7, EMPTY_ROOT)


def test_keys_and_notes_of_others_are_read() -> None:
    """
    A key and a cosigned checkpoint as other programs write them come out as they were.
    """
    assert str(verifier_key(PETER)) == PETER
    found = note(EXAMPLE)
    assert str(found) == EXAMPLE
    assert (found.checkpoint.size, len(found.signatures)) == (20852163, 2)
    assert found.signatures[1].signature[:8].hex() == "00000000641850cb"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "log\n1\n\n",
        "log\n01\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n",
        "log\n-1\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n",
        "log\n1\nshort\n\n",
        "log\n1\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\nmore\n\n",
        "log\n1\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n- log AAAA\n",
        "log\n1\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n\u2014 log ###\n",
        EXAMPLE + "\u2014" * 70_000,
    ],
)
def test_what_is_no_checkpoint_is_refused(text: str) -> None:
    """
    Nothing of it is guessed.
    """
    with pytest.raises(WrongUse):
        note(text)


@pytest.mark.parametrize(
    "text",
    ["", "PeterNeumann", PETER[:-4], PETER.replace("c74f", "c74e"), PETER + "AAAA"],
)
def test_what_is_no_key_is_refused(text: str) -> None:
    """
    Nor is a key whose id is another's.
    """
    with pytest.raises(WrongUse):
        verifier_key(text)


def test_who_signs_is_who_has_the_key() -> None:
    """
    A log's and a witness's signature verify by their keys, over this checkpoint alone.
    """
    log, witness = Signer.new("log.example/1"), Signer.new("w", COSIGNATURE)
    signed = Note(AT, (log.sign(AT), witness.cosign(AT, 1_700_000_000)))
    assert is_signed(note(str(signed)), log.key)
    assert is_signed(note(str(signed)), witness.key)
    assert not is_signed(signed, Signer.new("log.example/1").key)
    other = Checkpoint(AT.origin, 8, AT.root)
    for key in (log.key, witness.key):
        assert not is_signed(Note(other, signed.signatures), key)


def test_a_key_is_kept_in_a_file_of_its_owner_alone(tmp_path: Path) -> None:
    """
    It is made once; a second one beside it signs too; others may not read it.
    """
    path = tmp_path / "audit.key"
    (first,) = log_keys(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert log_keys(path) == (first,)
    second = Signer.new(first.key.name)
    second.write(path, beside=True)
    assert log_keys(path) == (first, second)
    Signer.new("another").write(path, beside=True)
    with pytest.raises(ConfigurationError, match="more than one log"):
        log_keys(path)
    path.write_text("PRIVATE+KEY+x\n", encoding="utf-8")
    with pytest.raises(ConfigurationError, match="no private key"):
        log_keys(path)
    path.chmod(0o640)
    with pytest.raises(ConfigurationError, match="others may read"):
        log_keys(path)
