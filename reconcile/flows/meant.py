"""Whom a Patient ID of a question means: by its issuer, else by who asks."""

from __future__ import annotations

from dataclasses import dataclass

from reconcile.core import attributes as at
from reconcile.core.identity import HELD_DOMAIN, Issuer, PatientIdentifier, bare
from reconcile.core.issuers import issuer_domain
from reconcile.core.matchkeys import OneOf, Question, Test, Wild
from reconcile.db.views_found import PatientKey
from reconcile.flows.rules import Rules


class Nobody(Exception):
    """Nobody can be meant."""


@dataclass(frozen=True, slots=True)
class Meant:
    """What identifiers mean to a peer; `view`: its domain, empty where it has none."""

    rules: Rules
    view: str

    def patient(self, question: Question) -> PatientKey | None:
        """The patients of a question; None: it names none.

        Raises:
            Nobody: of an issuer that is not known.
        """
        test, issuer = question.tests.get(at.PATIENT_ID), question.issuer
        if test is None:
            return None
        if isinstance(test, OneOf) and len(test.values) == 1 and not issuer:
            test, issuer = _cx(test.values[0])
        names = self._domains(issuer)
        if isinstance(test, Wild):
            pattern = bare(test.pattern)
            held = pattern if not names or HELD_DOMAIN.name in names else ""
            return PatientKey(pattern=pattern, domains=names, held=held)
        values = values_of(test)
        held = values[0] if values and (not names or HELD_DOMAIN.name in names) else ""
        anywhere = () if names else tuple(bare(value) for value in values)
        owned = names or tuple(self.rules.domains)
        return PatientKey(
            tuple(self._identifier(value, name) for value in values for name in owned),
            anywhere,
            held=held,
        )

    def issuer(self, question: Question) -> str:
        """The domain in which whoever is meant has an ID; empty: whichever.

        Raises:
            Nobody: of an issuer that is not known.
        """
        if at.PATIENT_ID in question.tests or not question.issuer:
            return ""
        return self._named(question.issuer)

    def _domains(self, issuer: Issuer) -> tuple[str, ...]:
        """In which domains an ID is looked for; empty: in all."""
        if issuer:
            return (self._named(issuer),)
        if not self.view:
            return ()
        names = (self.view, self.rules.archive_domain, HELD_DOMAIN.name)
        return tuple(dict.fromkeys(names))

    def _named(self, issuer: Issuer) -> str:
        domain = issuer_domain(issuer, dict(self.rules.domains)).domain
        if domain is None:
            raise Nobody
        return domain.name

    def _identifier(self, value: str, name: str) -> PatientIdentifier:
        domain = self.rules.domains.get(name)
        return PatientIdentifier(domain.normalise(value) if domain else bare(value), name)


def values_of(test: Test | None) -> tuple[str, ...]:
    """The values that a key lists; none where it is no such key."""
    return test.values if isinstance(test, OneOf) else ()


def _cx(value: str) -> tuple[Test, Issuer]:
    """An ID and its issuer, of one in HL7 components: "100^^^A"."""
    parts = [part.strip() for part in value.split("^")]
    authority = Issuer(*(parts[3] if len(parts) > 3 else "").split("&")[:3])
    return OneOf((parts[0] if authority else value,)), authority
