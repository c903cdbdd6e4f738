"""Check that what instances refer to can be found under the names that they use."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from reconcile.checker import Finding, Named, Unreadable, named
from reconcile.db import views_checked, views_instances
from reconcile.db.database import Connection
from reconcile.db.views_checked import Checked, Given
from reconcile.errors import NotFound
from reconcile.flows.check import CheckFlow, one
from reconcile.flows.retrieve import BytesMissing

_REMEMBERED = 1 << 16


@dataclass(frozen=True, slots=True)
class Dangling:
    """What the references of one instance came to.

    Attributes:
        references: how many it has.
        absent: how many name what this archive does not hold.
        findings: `moved`: it is here, and given out under another UID or elsewhere than
            said; `absent`: it is not here; `unreadable`, `bytes`.
    """

    sop_instance_uid: str
    study_instance_uid: str
    references: int = 0
    absent: int = 0
    findings: tuple[Finding, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether nothing was found."""
        return not self.findings


def dangling(flow: CheckFlow, uid: str = "", *, closed: bool = False) -> Iterator[Dangling]:
    """Follow every reference of a study, a series or an instance; or of everything.

    Args:
        flow: that checks instances.
        uid: received or assigned; empty: everything.
        closed: what is referred to must be here: `absent` is a finding, too.

    Raises:
        NotFound: nothing is given out under this UID.
    """
    found = False
    with flow.database.read_only() as connection:

        @lru_cache(_REMEMBERED)
        def given(level: str, uid: str) -> tuple[Given, ...]:
            return views_checked.given(connection, level, uid)

        for checked in views_checked.instances(connection, uid):
            found = True
            try:
                names = _names(flow, connection, checked)
            except BytesMissing:
                told = (one("bytes", "the bytes of the instance are missing"),)
            except Unreadable:
                told = (one("unreadable", "a sequence cannot be read"),)
            else:
                yield _followed(
                    checked, [(n, given(n.level, n.uid)) for n in names], closed
                )
                continue
            yield Dangling(checked.sop_instance_uid, checked.study_instance_uid, 0, 0, told)
    if uid and not found:
        raise NotFound("nothing is given out under this UID")


def _names(flow: CheckFlow, connection: Connection, checked: Checked) -> list[Named]:
    holding = views_instances.holding_of(connection, checked.receipt_id)
    if holding is None:
        return []
    with flow.given(holding) as instance:
        return list(dict.fromkeys(named(instance)))


def _followed(
    checked: Checked, names: list[tuple[Named, tuple[Given, ...]]], closed: bool
) -> Dangling:
    findings, absent = [], 0
    for name, places in names:
        code = _code(name, places)
        absent += code == "absent" and not name.request
        if code == "moved" or (code == "absent" and closed and not name.request):
            findings.append(Finding(code, name.attribute, _SAID[code].format(name.level)))
    return Dangling(
        checked.sop_instance_uid,
        checked.study_instance_uid,
        len(names),
        absent,
        tuple(findings),
    )


_SAID = {
    "moved": "the {} is given out under another UID, or not in the study and series named",
    "absent": "the {} is not in this archive",
}


def _code(name: Named, places: tuple[Given, ...]) -> str:
    """Empty where the reference can be followed."""
    if not places:
        return "absent"
    return "" if any(_is_there(name, place) for place in places) else "moved"


def _is_there(name: Named, place: Given) -> bool:
    own = {"study": place.study, "series": place.series, "instance": place.instance}
    return (
        own[name.level] == name.uid
        and name.study in ("", place.study)
        and name.series in ("", place.series)
    )
