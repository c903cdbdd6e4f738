"""What stands inside an instance and must change with it: references, codes, status.

Identity is decided from the header; this is the rest of what a Storage SCP may coerce
(PS3.4 B.4.1.3). What cannot be rewritten is flagged, so that a person knows of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from reconcile.core import attributes as at
from reconcile.core.attributes import Assign, Change, Recode
from reconcile.core.facts import InstanceFacts, Source
from reconcile.core.following import Followed, Own, Place, follow
from reconcile.dataset import coding, references
from reconcile.dataset.coding import Codes
from reconcile.dataset.facts import Received
from reconcile.dataset.overlay import STATUS_OF_A_COPY, Plan, plan
from reconcile.dataset.references import References
from reconcile.db.unresolved import Renamed

NOTHING_NAMED = References()
NO_CODES = Codes()
NOTHING_KNOWN = Renamed({}, {}, frozenset())


@dataclass(frozen=True, slots=True)
class Inside:
    """What an instance names, and which of its codes have another form."""

    references: References = NOTHING_NAMED
    codes: Codes = NO_CODES

    @property
    def uids(self) -> frozenset[str]:
        """Every UID that it names besides its own place."""
        named = {uid for place in self.references.named for uid in place if len(uid) > 1}
        return frozenset(named) | self.references.mentioned


def look(received: Received, source: Source) -> Inside:
    """What stands inside a data set, as far as its source wants it touched."""
    if not source.coerce:
        return Inside()
    wanted = source.codes != "off"
    deep = source.codes == "deep"
    return Inside(
        references.find(received), coding.find(received, deep) if wanted else NO_CODES
    )


def others(inside: Inside, facts: InstanceFacts) -> frozenset[Place]:
    """References to something else than the instance's own study and series."""
    own = {facts.study_instance_uid, facts.series_instance_uid, ".", ""}
    return frozenset(p for p in inside.references.named if not own.issuperset(p))


def followed(inside: Inside, own: Own, known: Renamed) -> Followed:
    """What becomes of an instance's references once its own place is known."""
    named = inside.references.named
    return follow(named, own, known.studies, known.series, known.ambiguous)


def changes(inside: Inside, links: Followed, source: Source) -> tuple[Change, ...]:
    """The changes to what stands inside."""
    found: list[Change] = [links.follow] if links.follow else []
    if inside.codes.mapped:
        found.append(Recode(inside.codes.mapped, source.codes == "deep"))
    return tuple(found)


def planned(
    received: Received, facts: InstanceFacts, source: Source, assigns: tuple[Change, ...]
) -> tuple[tuple[Change, ...], Plan]:
    """The changes and their plan; with the status of a copy where there are any."""
    status = at.text(facts.present.get(at.SOP_INSTANCE_STATUS))
    protected = status in STATUS_OF_A_COPY
    if is_kept_original(facts, source):
        return (), Plan()
    made = plan(received, assigns)
    if not (protected and made.changes):
        return assigns, made
    copy = at.element("CS", STATUS_OF_A_COPY[status])
    assigns = (*assigns, Assign(at.SOP_INSTANCE_STATUS, copy))
    return assigns, plan(received, assigns)


def flags(
    inside: Inside, links: Followed, own: Own, known: Renamed, made: Plan
) -> Iterator[str]:
    """Codes of what a person should know: what could not go along with the rest."""
    studies = {**known.studies, own.received_study: own.study}
    names = {was for was, now in studies.items() if was != now}
    names |= {was for (_, was), now in known.series.items() if was != now}
    left = inside.references
    if left.mentioned & names or links.ambiguous or left.unread:
        yield "REFERENCE-KEPT"
    identity = {at.PATIENT_ID, at.PATIENT_NAME, at.STUDY_INSTANCE_UID}
    if identity & set(at.tags(made.changes)):
        if left.encapsulated:
            yield "DOCUMENT-KEPT"
        if left.encrypted:
            yield "ENCRYPTED-KEPT"


def is_kept_original(facts: InstanceFacts, source: Source) -> bool:
    """Whether it is an authorised original that its source wants left alone."""
    status = at.text(facts.present.get(at.SOP_INSTANCE_STATUS))
    return source.authorised == "as-received" and status in STATUS_OF_A_COPY
