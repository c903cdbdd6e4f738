"""The documentation says what the code says.

Where a page lists what the code has (keys, statuses, routes, codes, messages, fields),
it is compared here. Prose is for people to judge.
"""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterable, Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any, get_args, get_origin

import pytest
import typer
from pydantic import BaseModel
from pydantic_core import PydanticUndefined
from pydicom.datadict import dictionary_description

from reconcile import errors
from reconcile.cli import main as command_line
from reconcile.cli import truth
from reconcile.core.coercion import LIST_RULE, RULE, Outcome
from reconcile.core.corroborate import Gate
from reconcile.core.querykeys import KEYS, WHO, Level
from reconcile.core.study import StudyRule
from reconcile.core.update import UpdateOutcome
from reconcile.core.worklist import Scheduled, entry
from reconcile.dataset.iods import SOP_CLASSES
from reconcile.dataset.part10 import (
    IMPLEMENTATION_CLASS_UID,
    IMPLEMENTATION_VERSION_NAME,
)
from reconcile.db.views_audit import Event
from reconcile.dicom.policy import storage_extended
from reconcile.dicom.status import normalized_statuses, statuses
from reconcile.flows import exporting
from reconcile.flows.identifiers import TAKEN, UNKNOWN_VISIT
from reconcile.flows.merge import MERGE_FAULTS
from reconcile.flows.outcome import WAITS
from reconcile.flows.patient import FAULTS
from reconcile.flows.replay import OF_A_MESSAGE
from reconcile.flows.resolve import ACTIONS, OF_A_REVIEW
from reconcile.flows.speaking import SIDE_FAULTS
from reconcile.hl7 import errors as hl7_errors
from reconcile.hl7 import patient_list
from reconcile.hl7.dispatch import BUILDERS, UNSUPPORTED
from reconcile.hl7.orders import CONTROLS
from reconcile.settings import OVERRIDES
from reconcile.settings.model import Settings
from reconcile.web import coercions
from reconcile.web.app import TOPICS
from reconcile.web.fhir_search import AUDIT_EVENT, PROVENANCE
from reconcile.web.pages import site

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
REFERENCE = DOCS / "reference"
AT_THE_TOP = ("README", "CHANGELOG", "CONTRIBUTING", "SECURITY")
PAGES = sorted([*DOCS.rglob("*.md"), *(ROOT / f"{name}.md" for name in AT_THE_TOP)])

LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
FENCE = re.compile(r"^[ \t]*```(\w*)\n(.*?)^[ \t]*```", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"`([^`\n]+)`")
COMMAND = re.compile(
    r"(?:^|(?<=\s)|(?<=/))reconcile[ \t]+([a-z][a-z-]*)(?:[ \t]+([a-z][a-z-]*))?",
    re.MULTILINE,
)
#: What a page may not name: where it was written is nobody's business.
OUR_OWN = re.compile(r"/(tmp|root|home/\w+)/")


def page(name: str) -> str:
    return (REFERENCE / name).read_text(encoding="utf-8")


def tables(text: str) -> dict[str, list[list[str]]]:
    """Rows of the tables below each heading, cells without code marks."""
    found: dict[str, list[list[str]]] = {}
    heading = ""
    for line in text.splitlines():
        if line.startswith("#"):
            heading = line.lstrip("# ")
        elif line.startswith("|") and not re.fullmatch(r"[|\s:-]+", line):
            cells = [cell.strip() for cell in line.strip("|").split(" | ")]
            found.setdefault(heading, []).append([cell.strip("` ") for cell in cells])
    return found


def codes_in(text: str) -> set[str]:
    """Everything that stands in code marks."""
    return set(CODE.findall(FENCE.sub("", text)))


def shell(text: str) -> Iterator[str]:
    """What a reader might type: shell blocks, and code in a sentence."""
    for language, block in FENCE.findall(text):
        if language == "sh":
            yield block
    yield from CODE.findall(FENCE.sub("", text))


# -- Configuration ------------------------------------------------------------------


def members() -> Iterator[tuple[str, type[BaseModel]]]:
    """Tables of the configuration, as the file spells their headings."""
    for name, field in Settings.model_fields.items():
        kind = field.annotation
        if get_origin(kind) is tuple:
            yield f"[[{name}]]", get_args(kind)[0]
        elif isinstance(kind, type) and issubclass(kind, BaseModel):
            yield f"[{name}]", kind


def as_toml(value: Any) -> str:
    """A default as the file spells it."""
    if value is PydanticUndefined:
        return "required"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, tuple):
        return f"[{', '.join(map(as_toml, value))}]"
    return str(value)


@pytest.mark.parametrize(("heading", "model"), list(members()))
def test_every_key_is_documented_with_its_default(
    heading: str, model: type[BaseModel]
) -> None:
    """
    configuration.md lists every key with the default that it has, and no other.
    """
    rows = tables(page("configuration.md"))[heading][1:]
    told = {row[0]: row[1] for row in rows}
    known = {name: as_toml(f.default) for name, f in model.model_fields.items()}
    assert told == known


def test_every_override_is_documented() -> None:
    """
    configuration.md names the environment variables and what they stand above.
    """
    text = page("configuration.md")
    for variable, (table, key) in OVERRIDES.items():
        assert f"| `{variable}` | `[{table}] {key}` |" in text


# -- DICOM --------------------------------------------------------------------------


def test_statuses_are_those_of_the_door() -> None:
    """
    statuses.md begins each row as the door's own table does.
    """
    rows = tables(page("statuses.md"))["C-STORE"]
    told = [tuple(row[:3]) for row in rows[1:]]
    assert told == [(f"{s.code:04X}", s.category, s.meaning) for s in statuses()]


def test_statuses_of_n_services_are_those_of_the_door() -> None:
    """
    statuses.md lists what N-services are answered with besides.
    """
    rows = tables(page("statuses.md"))["N-services"]
    told = [tuple(row[:3]) for row in rows[1:]]
    said = normalized_statuses()
    assert told == [(f"{s.code:04X}", s.category, s.meaning) for s in said]


def test_the_conformance_statement_says_who_we_are() -> None:
    """
    Implementation UID and version, number of classes and the six bytes are the code's.
    """
    text = (DOCS / "conformance/dicom.md").read_text(encoding="utf-8")
    assert IMPLEMENTATION_CLASS_UID in text
    assert IMPLEMENTATION_VERSION_NAME in text
    assert f"\n{len(SOP_CLASSES)} storage SOP classes" in text
    rows = tables(text)["Storage extended negotiation (PS3.4 B.3.1)"][1:]
    for coerce in (True, False):
        (answer,) = storage_extended(["1.2"], coerce=coerce).values()
        assert [row[0] for row in rows] == [str(n + 1) for n in range(len(answer))]
        for row, byte in zip(rows, answer, strict=True):
            assert re.search(rf"\b{byte}\b", row[2]), row


def named(tags: Iterable[str]) -> str:
    """Names of the data dictionary, as a cell has them; of a step without its sequence."""
    return ", ".join(dictionary_description(int(tag[-8:], 16)) for tag in tags)


def told_apart(tags: Iterable[str], level: Level) -> list[str]:
    """What is matched, and what is only answered: sequences are."""
    known, found = KEYS[level], list(tags)
    matched = named(tag for tag in found if known[tag] != "SQ")
    return [matched, named(tag for tag in found if known[tag] == "SQ")]


def test_the_keys_of_queries_are_documented() -> None:
    """
    The conformance statement lists what each level matches and answers, and no other.
    """
    text = (DOCS / "conformance/dicom.md").read_text(encoding="utf-8")
    rows = {row[0]: row[1:] for row in tables(text)["Query"]}
    above = {"00080005"}
    for level in (Level.PATIENT, Level.STUDY, Level.SERIES, Level.IMAGE):
        own = [tag for tag in KEYS[level] if tag not in above]
        assert rows[level.value] == told_apart(own, level)
        above |= set(own)


def test_the_keys_of_the_worklist_are_documented() -> None:
    """
    So does the one of the worklist, and which of them have a value at all.
    """
    text = (DOCS / "conformance/dicom.md").read_text(encoding="utf-8")
    of = tables(text)["Modality Worklist (PS3.4 Annex K; IHE RAD-5)"]
    rows = {row[0]: row[1:] for row in of}
    said = ("ACC", "A", "P1", "F1", "HOUSE^G", "V1", "scheduled")
    step = Scheduled("S1", "CT", ("A",), "2026", "D", "RP1", "1.2", "P", None, *said)
    held = entry(step, {}).keys() | WHO.keys()
    for title, inside in (("patient, order, visit", False), ("step", True)):
        tags = [tag for tag in KEYS[Level.WORKLIST] if ("." in tag) == inside]
        told = [tag for tag in tags if tag in held]
        assert rows[title] == told_apart(told, Level.WORKLIST)
        empty = [tag for tag in tags if tag not in held]
        assert rows[f"{title}: always empty"] == told_apart(empty, Level.WORKLIST)


# -- HL7 ----------------------------------------------------------------------------


def test_messages_are_those_of_the_door() -> None:
    """
    hl7.md lists the messages that are acted on, and no other.
    """
    told = [row[0] for row in tables(page("hl7.md"))["Messages"][1:]]
    assert told == [f"{kind}^{event}" for kind, event in BUILDERS]


def test_what_is_refused_and_listed_is_documented() -> None:
    """
    hl7.md names every event that is refused and listed for a person.
    """
    rows = tables(page("hl7.md"))["Refused and listed"][1:]
    told = {("ADT", event) for row in rows for event in re.findall(r"A[0-9]{2}", row[0])}
    assert told == UNSUPPORTED
    assert not told & set(BUILDERS)


def test_order_controls_are_those_of_the_door() -> None:
    """
    hl7.md lists every order control; those that ask nothing stand in one row.
    """
    rows = tables(page("hl7.md"))["Order controls"][1:]
    told = [code for row in rows for code in re.findall(r"[A-Z]{2}", row[0])]
    assert sorted(told) == sorted(CONTROLS)
    silent = next(row[0] for row in rows if "OK" in row[0])
    nothing = {code for code, control in CONTROLS.items() if control is None}
    assert set(re.findall(r"[A-Z]{2}", silent)) == nothing


def test_error_codes_are_those_that_are_sent() -> None:
    """
    hl7.md explains every condition code that an acknowledgement can hold.
    """
    raised = {
        kind.hl7_error
        for module in (errors, hl7_errors)
        for _, kind in inspect.getmembers(module, inspect.isclass)
        if issubclass(kind, errors.ReconcileError)
    }
    sent = raised | {fault.code for fault in FAULTS.values()}
    sent |= {fault.code for fault in MERGE_FAULTS.values()}
    sent |= {refused.fault.code for refused in SIDE_FAULTS.values()}
    sent |= {TAKEN.code, UNKNOWN_VISIT.code, WAITS.code}
    rows = tables(page("hl7.md"))["Acknowledgements"]
    assert {row[0] for row in rows if row[0].isdigit()} == sent


# -- The history --------------------------------------------------------------------


def test_fields_of_an_event_are_documented() -> None:
    """
    audit.md lists the fields of a coercion event in their order.
    """
    rows = tables(page("audit.md"))["The coercion event"][1:]
    assert [row[0] for row in rows] == [field.name for field in fields(Event)]


def test_filters_of_the_history_are_documented() -> None:
    """
    audit.md lists every filter that the API takes.
    """
    parameters = inspect.signature(coercions._query).parameters
    spelled = {"since": "from", "until": "to"}
    known = [spelled.get(name, name) for name in parameters if name != "parts"]
    rows = tables(page("audit.md"))["Filters"][1:]
    assert [row[0] for row in rows] == known


def test_columns_of_the_export_are_documented() -> None:
    """
    audit.md lists the columns of the table in their order, those of the event in one row.
    """
    rows = tables(page("audit.md"))["Export"][1:]
    repeated = re.findall(r"`(\w+)`", f"`{rows[0][1]}`")
    assert tuple(repeated) == exporting.OF_EVENT
    assert tuple(row[0] for row in rows[1:]) == exporting.OF_CHANGE


def test_rules_and_rungs_are_documented() -> None:
    """
    Every study rule, every answer of the gate and the rule in force are explained.
    """
    told = tables((DOCS / "explanation/study-uids.md").read_text(encoding="utf-8"))
    assert {row[0] for row in told["The rule"][1:]} == {rule.value for rule in StudyRule}
    told = tables((DOCS / "explanation/identity.md").read_text(encoding="utf-8"))
    assert [row[0] for row in told["The gate"][1:]] == [gate.value for gate in Gate]
    assert {RULE, LIST_RULE} <= codes_in(page("audit.md"))


def test_columns_of_lists_are_documented() -> None:
    """
    migrate.md names every column that a list may have, in the order of the code.
    """
    told = tables((DOCS / "how-to/migrate.md").read_text(encoding="utf-8"))
    patients, files = (told[name][1:] for name in ("2. The patients", "3. The files"))
    assert tuple(row[0] for row in patients) == patient_list.FIELDS
    assert tuple(row[0] for row in files) == truth.FIELDS


# -- HTTP ---------------------------------------------------------------------------


def test_routes_are_documented() -> None:
    """
    http.md lists every route, and no other.
    """
    known = {
        f"{method} {route.path}"
        for each in TOPICS
        for route in each.router.routes
        for method in getattr(route, "methods", ())
    }
    rows = tables(page("http.md"))["Routes"][1:]
    assert {row[0] for row in rows} == known | {"GET /openapi.json"}


def test_search_parameters_of_fhir_are_documented() -> None:
    """
    http.md lists every parameter of FHIR that is acted on, and no other.
    """
    rows = [row for row in tables(page("http.md"))["FHIR"] if len(row) == 3]
    told = {name.strip("` ") for row in rows[1:] for name in row[0].split(",")}
    assert told == {*AUDIT_EVENT, *PROVENANCE} - {"_cursor"}


def test_pages_are_documented() -> None:
    """
    http.md lists every page and every form, and no other.
    """
    known = {
        f"{method} {route.path}"
        for topic in site.TOPICS
        for route in topic.router.routes
        for method in getattr(route, "methods", ())
    }
    assert {row[0] for row in tables(page("http.md"))["Pages"][1:]} == known


# -- Holds --------------------------------------------------------------------------

CODE_OF_ITEM = re.compile(r"[A-Z]{2,}(-[A-Z]{2,})+|PROVISIONAL|CHARSET|IMPLAUSIBLE")


def codes_of_items() -> set[str]:
    """Every string in core and flows that looks like the code of an item."""
    found = {o.value for o in Outcome if o.is_hold}
    found |= {o.value for o in UpdateOutcome if o.is_held}
    for room in ("core", "flows"):
        for module in (ROOT / "reconcile" / room).glob("*.py"):
            for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Constant) and isinstance(node.value, str):
                    found |= {node.value} if CODE_OF_ITEM.fullmatch(node.value) else set()
    return found


def test_codes_of_holds_are_documented() -> None:
    """
    holds.md has a row for every code that is raised, the holds in order of precedence.
    """
    told = tables(page("holds.md"))
    rows = [row[0] for name in ("Holds", "Reviews", "Messages") for row in told[name]]
    assert codes_of_items() <= set(rows)
    holds = [row[0] for row in told["Holds"][1:]]
    assert holds == [outcome.value for outcome in Outcome if outcome.is_hold]


def test_reserved_codes_are_not_raised() -> None:
    """
    What holds.md calls reserved is nowhere raised: else it has to be explained.
    """
    reserved = codes_in(page("holds.md").partition("## Reserved")[2])
    assert reserved
    assert not reserved & codes_of_items()


def test_actions_on_an_item_are_documented() -> None:
    """
    holds.md lists what a person may decide, and of which codes.
    """
    rows = tables(page("holds.md"))["Resolve an item"][1:]
    told = {(row[1], row[0]) for row in rows}
    single = Outcome.DUPLICATE_DIFFERS.value
    others = {ways for code, ways in ACTIONS.items() if code != single}
    assert len(others) == 1
    ways = {single: ACTIONS[single], "other holds": others.pop(), "reviews": OF_A_REVIEW}
    assert told == {(of, each) for of, possible in ways.items() for each in possible}
    rows = tables(page("holds.md"))["Messages"]
    assert {row[0] for row in rows} >= set(OF_A_MESSAGE)


# -- All pages ----------------------------------------------------------------------


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(path: Path) -> None:
    """
    Every relative link names a file that is there, and a heading that it has.
    """
    text = FENCE.sub("", path.read_text(encoding="utf-8"))
    for link in LINK.findall(text):
        if "://" in link or link.startswith("mailto:"):
            continue
        target, _, anchor = link.partition("#")
        found = (path.parent / target).resolve() if target else path
        assert found.exists(), f"{link} leads nowhere"
        if anchor:
            assert anchor in anchors(found), f"{link} names no heading"


def anchors(path: Path) -> set[str]:
    """The headings of a page as they are linked to."""
    headings = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    kept = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings)
    return {heading.replace(" ", "-") for heading in kept}


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_commands_exist(path: Path) -> None:
    """
    Every command of ours and every target of make that a page names is there.
    """
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    for code in shell(path.read_text(encoding="utf-8")):
        for command, subcommand in COMMAND.findall(code):
            assert is_command(command, subcommand), f"reconcile {command} {subcommand}"
        for target in re.findall(r"(?:^|(?<=\s))make ([a-z-]+)", code):
            assert target in targets, f"make {target}"


def is_command(name: str, inner: str) -> bool:
    """Whether the command line has this command, or this one inside a group."""
    group: Any = typer.main.get_command(command_line.app)
    found = group.commands.get(name)
    if found is None or not hasattr(found, "commands"):
        return found is not None
    return not inner or inner in found.commands


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_pages_name_no_place_of_their_making(path: Path) -> None:
    """
    No page names a folder of the machine that it was written on.
    """
    text = path.read_text(encoding="utf-8")
    assert not OUR_OWN.search(text)


def test_pictures_are_whole_and_readable_in_the_dark() -> None:
    """
    Every picture has words for who cannot see it, and colours for a dark reading room.
    """
    pictures = sorted((DOCS / "pictures").glob("*.svg"))
    assert pictures
    for picture in pictures:
        text = picture.read_text(encoding="utf-8")
        for needed in ("<title", "<desc", "prefers-color-scheme: dark", "viewBox"):
            assert needed in text, f"{picture.name}: {needed}"


def test_decisions_are_listed() -> None:
    """
    Every decision has its four parts, and a row in the list of decisions.
    """
    listed = (DOCS / "adr/README.md").read_text(encoding="utf-8")
    for path in sorted((DOCS / "adr").glob("[0-9]*.md")):
        assert f"({path.name})" in listed, path.name
        text = path.read_text(encoding="utf-8")
        parts = ["## Context", "## Decision", "## Status", "## Consequences"]
        found = re.findall(r"^## .+$", text, re.MULTILINE)
        assert found == parts, path.name
