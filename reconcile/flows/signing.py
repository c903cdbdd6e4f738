"""Who signs the sealed history, and who vouches for having seen it: Ed25519 keys in files.

A key is one line, as Go's note package writes it (PRIVATE+KEY+NAME+ID+KEY), in a file
that only its owner may read. It stands outside the database: who can write rows there
cannot sign with it.
"""

from __future__ import annotations

import base64
import binascii
import os
import secrets
import struct
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)

from reconcile.core.note import (
    COSIGNATURE,
    ED25519,
    Checkpoint,
    Note,
    Signature,
    VerifierKey,
    cosigned,
    is_name,
)
from reconcile.errors import ConfigurationError, WrongUse

_PREFIX = "PRIVATE+KEY+"
_SEED_BYTES = 32
_STAMP = struct.Struct(">Q")


@dataclass(frozen=True, slots=True)
class Signer:
    """A private key, and the name that it signs under."""

    key: VerifierKey
    seed: bytes

    @classmethod
    def new(cls, name: str, algorithm: int = ED25519) -> Signer:
        """A key that nobody has had.

        Raises:
            WrongUse: nobody can be called so.
        """
        if not is_name(name):
            raise WrongUse("the name of a key has no blank and no plus")
        return cls._of(name, algorithm, secrets.token_bytes(_SEED_BYTES))

    @classmethod
    def _of(cls, name: str, algorithm: int, seed: bytes) -> Signer:
        public = Ed25519PrivateKey.from_private_bytes(seed).public_key()
        return cls(VerifierKey(name, algorithm, public.public_bytes_raw()), seed)

    @classmethod
    def read(cls, path: Path) -> Signer:
        """The first key in a file; raises what `read_all` does."""
        return cls.read_all(path)[0]

    @classmethod
    def read_all(cls, path: Path) -> tuple[Signer, ...]:
        """The keys in a file, one on a line, all of one name: all of them sign.

        Raises:
            ConfigurationError: there is none, it cannot be read, or others can read it.
        """
        try:
            if path.stat().st_mode & 0o077:
                raise ConfigurationError(f"{path}: others may read this key: chmod 600")
            lines = path.read_text(encoding="ascii").split()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigurationError(f"{path}: the key cannot be read") from error
        found = tuple(each for each in map(cls._parsed, lines) if each is not None)
        if not found or len(found) < len(lines):
            raise ConfigurationError(f"{path}: this is no private key")
        if len({each.key.name for each in found}) > 1:
            raise ConfigurationError(f"{path}: the keys in it are of more than one log")
        return found

    @classmethod
    def _parsed(cls, text: str) -> Signer | None:
        name, _, rest = text.removeprefix(_PREFIX).partition("+")
        said, _, encoded = rest.partition("+")
        try:
            content = base64.b64decode(encoded, validate=True)
        except (ValueError, binascii.Error):
            return None
        kinds = (ED25519, COSIGNATURE)
        if not text.startswith(_PREFIX) or len(content) != 1 + _SEED_BYTES:
            return None
        found = cls._of(name, content[0], content[1:])
        return found if content[0] in kinds and found.key.id.hex() == said else None

    def write(self, path: Path, *, beside: bool = False) -> None:
        """Keep the key in a new file of its owner's alone; or `beside` those in one.

        Raises:
            WrongUse: there is such a file, or it cannot be written.
        """
        secret = base64.b64encode(bytes([self.key.algorithm]) + self.seed).decode("ascii")
        line = f"{_PREFIX}{self.key.name}+{self.key.id.hex()}+{secret}\n"
        try:
            flags = os.O_APPEND if beside else os.O_CREAT | os.O_EXCL
            descriptor = os.open(path, flags | os.O_WRONLY, 0o600)
            with os.fdopen(descriptor, "w") as file:
                file.write(line)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise WrongUse(f"{path}: the key cannot be written") from error

    def sign(self, checkpoint: Checkpoint) -> Signature:
        """A log's signature."""
        return self._signature(checkpoint.body().encode())

    def cosign(self, checkpoint: Checkpoint, seconds: int) -> Signature:
        """A witness's: that it saw this checkpoint, and that it goes on from the others."""
        made = self._signature(cosigned(checkpoint, seconds)).signature
        return Signature(self.key.name, self.key.id, _STAMP.pack(seconds) + made)

    def _signature(self, message: bytes) -> Signature:
        made = Ed25519PrivateKey.from_private_bytes(self.seed).sign(message)
        return Signature(self.key.name, self.key.id, made)


def is_signed(note: Note, key: VerifierKey) -> bool:
    """Whether a checkpoint has a good signature of this key."""
    return any(_is_good(note.checkpoint, each, key) for each in note.by(key))


def _is_good(checkpoint: Checkpoint, said: Signature, key: VerifierKey) -> bool:
    message, signature = checkpoint.body().encode(), said.signature
    if key.algorithm == COSIGNATURE:
        if len(signature) < _STAMP.size:
            return False
        (seconds,) = _STAMP.unpack(signature[: _STAMP.size])
        message, signature = cosigned(checkpoint, seconds), signature[_STAMP.size :]
    with suppress(InvalidSignature, ValueError):
        Ed25519PublicKey.from_public_bytes(key.public).verify(signature, message)
        return True
    return False


def log_keys(path: Path) -> tuple[Signer, ...]:
    """The keys that sign the log: what is in the file, or a new one, kept there.

    Raises:
        ConfigurationError: it cannot be read.
    """
    if not path.exists():
        with suppress(WrongUse):  # another process may have made it meanwhile
            Signer.new(f"reconcile/{secrets.token_hex(8)}").write(path)
    return Signer.read_all(path)
