"""Signed notes and checkpoints as text: C2SP signed-note, tlog-checkpoint, cosignature.

A checkpoint says how many events are sealed and what the root over them is. Who signs is
named by a verifier key; whether a signature is good, whoever holds cryptography says.

Source:
    https://c2sp.org/signed-note, https://c2sp.org/tlog-checkpoint,
    https://c2sp.org/tlog-cosignature
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass

from reconcile.core.merkle import HASH_BYTES
from reconcile.errors import WrongUse

ED25519 = 0x01
COSIGNATURE = 0x04
_DASH = "\u2014"
_NAME = re.compile(r"[^\s+]{1,255}")
#: No note is longer: a tree, and a few who sign.
NOTE_BYTES_MAX = 64 << 10


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """A public key with the name of whom it speaks for.

    Attributes:
        algorithm: ED25519 of a log, COSIGNATURE of a witness.
        public: 32 bytes.
    """

    name: str
    algorithm: int
    public: bytes

    @property
    def id(self) -> bytes:
        """The four bytes by which a signature says whose it is."""
        said = self.name.encode() + b"\n" + bytes([self.algorithm]) + self.public
        return hashlib.sha256(said).digest()[:4]

    def __str__(self) -> str:
        return (
            f"{self.name}+{self.id.hex()}+{_encode(bytes([self.algorithm]) + self.public)}"
        )


def verifier_key(text: str) -> VerifierKey:
    """A verifier key from its one line.

    Raises:
        WrongUse: it is none.
    """
    name, _, rest = text.strip().partition("+")
    said, _, encoded = rest.partition("+")
    content = _decode(encoded)
    if not _NAME.fullmatch(name) or content is None or len(content) != 1 + HASH_BYTES:
        raise WrongUse("this is no verifier key (NAME+ID+KEY)")
    key = VerifierKey(name, content[0], content[1:])
    if key.algorithm not in (ED25519, COSIGNATURE) or key.id.hex() != said:
        raise WrongUse("this is no verifier key (NAME+ID+KEY)")
    return key


@dataclass(frozen=True, slots=True)
class Signature:
    """One line under a note."""

    name: str
    key_id: bytes
    signature: bytes

    def __str__(self) -> str:
        return f"{_DASH} {self.name} {_encode(self.key_id + self.signature)}\n"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A tree at one size."""

    origin: str
    size: int
    root: bytes

    def body(self) -> str:
        """What is signed."""
        return f"{self.origin}\n{self.size}\n{_encode(self.root)}\n"

    def __str__(self) -> str:
        return f"{self.size} {_encode(self.root)}"


@dataclass(frozen=True, slots=True)
class Note:
    """A checkpoint with its signatures."""

    checkpoint: Checkpoint
    signatures: tuple[Signature, ...]

    def __str__(self) -> str:
        return self.checkpoint.body() + "\n" + "".join(map(str, self.signatures))

    def by(self, key: VerifierKey) -> tuple[Signature, ...]:
        """The signatures that claim to be of a key."""
        return tuple(s for s in self.signatures if (s.name, s.key_id) == (key.name, key.id))


def note(text: str) -> Note:
    """A checkpoint from its text; its signatures are not looked at.

    Raises:
        WrongUse: it is none.
    """
    body, blank, lines = text.rpartition("\n\n")
    said = (body + "\n").split("\n")
    if len(text) > NOTE_BYTES_MAX or not blank or len(said) != 4:
        raise WrongUse("this is no checkpoint")
    root = _decode(said[2])
    if not said[0] or not re.fullmatch(r"0|[1-9][0-9]{0,18}", said[1]):
        raise WrongUse("this is no checkpoint")
    if root is None or len(root) != HASH_BYTES:
        raise WrongUse("this is no checkpoint")
    return Note(Checkpoint(said[0], int(said[1]), root), tuple(_signatures(lines)))


def _signatures(lines: str) -> Iterable[Signature]:
    for line in lines.splitlines():
        dash, _, rest = line.partition(" ")
        name, _, encoded = rest.partition(" ")
        content = _decode(encoded)
        if dash != _DASH or not _NAME.fullmatch(name) or content is None:
            raise WrongUse("a signature of the checkpoint is none")
        yield Signature(name, content[:4], content[4:])


def cosigned(checkpoint: Checkpoint, seconds: int) -> bytes:
    """What a witness signs: that it saw a checkpoint, and when."""
    return f"cosignature/v1\ntime {seconds}\n{checkpoint.body()}".encode()


def is_name(text: str) -> bool:
    """Whether a signer may be called so."""
    return bool(_NAME.fullmatch(text))


def _encode(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")


def _decode(text: str) -> bytes | None:
    try:
        return base64.b64decode(text.encode("ascii"), validate=True)
    except (ValueError, binascii.Error):
        return None
