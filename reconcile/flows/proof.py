"""A proof that an event is in the log, in one document that verifies without a database.

It holds the event's canonical bytes, those of its happening, the path of hashes to the
root, and the signed checkpoint of that root; personal values only where they are asked
for. Whoever checks it needs the log's verifier key, and nothing else of ours.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from reconcile.core.audit import commitment, entry
from reconcile.core.merkle import includes, inclusion_proof, leaf_hash
from reconcile.core.note import Note, VerifierKey, note
from reconcile.core.tiles import node_reader
from reconcile.db import views_seal
from reconcile.db.database import Database
from reconcile.errors import NotFound, ReconcileError, WrongUse
from reconcile.flows.signing import is_signed
from reconcile.storage.tiles import Tiles

FORM = "reconcile-proof/1"


class ProofFails(ReconcileError):
    """A proof does not prove what it says."""

    title = "The proof does not hold"


@dataclass(frozen=True, slots=True)
class Proved:
    """What a proof proves.

    Attributes:
        number: in the log.
        event: the event's fields.
        happening: those of its happening.
        values: the personal values; None: they are not in the proof.
        checkpoint: "SIZE ROOT".
        cosigned_by: witnesses that saw this checkpoint, of those that were asked for.
    """

    number: int
    origin: str
    event: Mapping[str, Any]
    happening: Mapping[str, Any]
    values: Mapping[str, Any] | None
    checkpoint: str
    cosigned_by: tuple[str, ...]


def prove(
    database: Database,
    tiles: Tiles,
    event_id: str,
    *,
    with_values: bool = False,
    under: Note | None = None,
) -> dict[str, Any]:
    """The proof of an event, under the newest checkpoint or under one that is given.

    Raises:
        NotFound: it is not sealed, or not yet under this checkpoint; or its bytes are
            gone.
    """
    with database.read_only() as connection:
        leaf = views_seal.leaf(connection, event_id)
    signed = under or tiles.published()
    if signed is None or signed.checkpoint.size < leaf.number:
        raise NotFound("the event is not in this checkpoint yet")
    if leaf.event is None:
        raise NotFound("the bytes of this event are gone")
    size = signed.checkpoint.size
    path = inclusion_proof(node_reader(tiles.read, size), leaf.number - 1, size)
    made: dict[str, Any] = {
        "form": FORM,
        "number": leaf.number,
        "event": leaf.event.decode(),
        "happening": leaf.happening.decode(),
        "path": [each.hex() for each in path],
        "checkpoint": str(signed),
    }
    if with_values and leaf.nonce is not None and leaf.values is not None:
        made["values"] = {"nonce": leaf.nonce.hex(), "body": leaf.values.decode()}
    return made


def check(
    document: Mapping[str, Any], key: VerifierKey, witnesses: Sequence[VerifierKey] = ()
) -> Proved:
    """What a proof proves.

    Raises:
        WrongUse: it is none.
        ProofFails: it does not hold, is signed by somebody else, or a witness is missing.
    """
    number, event, happening, path, signed = _read(document)
    if not is_signed(signed, key):
        raise ProofFails("the checkpoint is not signed by this key")
    at = signed.checkpoint
    leaf = leaf_hash(entry(event, happening))
    if not includes(leaf, number - 1, at.size, path, at.root):
        raise ProofFails("the event is not in the tree of the checkpoint")
    for each in witnesses:
        if not is_signed(signed, each):
            raise ProofFails(f"{each.name} has not cosigned the checkpoint")
    told = json.loads(event)
    values = _values(document.get("values"), told)
    names = tuple(each.name for each in witnesses)
    return Proved(number, at.origin, told, json.loads(happening), values, str(at), names)


def _read(
    document: Mapping[str, Any],
) -> tuple[int, bytes, bytes, list[bytes], Note]:
    try:
        number, path = document["number"], document["path"]
        if document["form"] != FORM or type(number) is not int:
            raise WrongUse("this is no proof of this form")
        event, happening = (document[name].encode() for name in ("event", "happening"))
        hashes = [bytes.fromhex(each) for each in path]
        return number, event, happening, hashes, note(document["checkpoint"])
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise WrongUse("this is no proof of this form") from error


def _values(said: Any, event: Mapping[str, Any]) -> Mapping[str, Any] | None:
    if said is None:
        return None
    try:
        nonce, body = bytes.fromhex(said["nonce"]), said["body"].encode()
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise WrongUse("the values of the proof are none") from error
    if commitment(nonce, body) != event.get("values"):
        raise ProofFails("the values are not those that the event commits to")
    found: Mapping[str, Any] = json.loads(body)
    return found
