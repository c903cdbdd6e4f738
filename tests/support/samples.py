"""HL7 messages as real senders write them, each with the answer that it must get.

Shapes, not copies: every identifier and name is made up. They are bytes, since half of
what is worth a sample is how they are encoded. Samples are sent in their order, each with
a control ID of its own, to the hospital of `running.HOSPITAL`; patients that they bring
have IDs from 7000 on.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple


class Shown(NamedTuple):
    """A patient afterwards: an identifier, and what is said of whoever owns it."""

    identifier: str
    name: str = ""
    birth_date: str = ""


class Sample(NamedTuple):
    """One message, and what it must get.

    Attributes:
        answer: acknowledgement, ERR-3 and ERR-2; none of them: it is not answered.
        shown: patients afterwards.
        absent: identifiers that nobody may own afterwards.
        held: it waits for a person; None: that is not looked at.
        waits: see WAIT.
    """

    what: str
    raw: bytes
    answer: tuple[str, ...]
    shown: tuple[Shown, ...] = ()
    absent: tuple[str, ...] = ()
    held: bool | None = False
    waits: bool = False


AA = ("AA",)
UTF_8 = "UNICODE UTF-8"
#: Whether what messages say of who is who is still refused (AR, 201), and its samples
#: wait for the flow that acts on it.
WAIT = False
NOT_SUPPORTED = ("AR", "201", "MSH^1^9^1^2")
JANE = Shown("100^^^A", "DOE^JANE", "19800102")
RICHARD = Shown("200^^^A", "ROE^RICHARD", "19750506")
EVN = "EVN||20260301100000"
PV1 = "PV1||O"
MIB = 1 << 20


def msh(
    name: str,
    *,
    sender: str = "RIS_A",
    version: str = "2.5.1",
    charset: str = UTF_8,
    delimiters: str = "^~\\&",
    control_id: str = "{id}",
) -> str:
    """An MSH; "{id}" stands for the sample's control ID."""
    start = f"MSH|{delimiters}|{sender}|HOSPITAL|RECONCILE|ARCHIVE|20260301100000||{name}"
    tail = f"|{control_id}|P|{version}" + "|" * 6 + charset
    return start + tail.rstrip("|")


def raw(*segments: str, end: str = "\r", encoding: str = "utf-8") -> bytes:
    return "".join(segment + end for segment in segments).encode(encoding)


def adt(*segments: str, event: str = "A08", sender: str = "RIS_A") -> bytes:
    """An ADT of a usual header, EVN and the segments."""
    return raw(msh(f"ADT^{event}", sender=sender), EVN, *segments)


def pid(
    identifiers: str, name: str = "", birth_date: str = "", sex: str = "", tail: str = ""
) -> str:
    return f"PID|1||{identifiers}||{name}||{birth_date}|{sex}{tail}"


def at(number: int, value: str, name: str = "PID") -> str:
    """A segment with one field only."""
    return f"{name}{'|' * number}{value}"


def orm(*segments: str, name: str = "ORM^O01", patient: str = "") -> bytes:
    known = patient or pid("100^^^A", "DOE^JANE", "19800102", "F")
    return raw(msh(name), known, PV1, *segments)


def obr(accession: str = "", rp: str = "RP1", sps: str = "", numbers: str = "|") -> str:
    return f"OBR|1|{numbers}|CTTH^CT THORAX^L{'|' * 14}{accession}|{rp}|{sps}||||CT"


def ipc(accession: str, rp: str, uid: str, sps: str) -> str:
    return f"IPC|{accession}^A|{rp}|{uid}|{sps}|CT|P1^Routine^99RIS|||CT_A~CT_B"


# -- How a message is written --------------------------------------------------------------


def _written() -> Iterable[Sample]:
    jane = pid("7001^^^A", "ALPHA^ANNE", "19610101", "F")
    shown = (Shown("7001^^^A", "ALPHA^ANNE", "19610101"),)
    start = msh("ADT^A08^ADT_A01")
    yield Sample("as in the book", raw(start, EVN, jane, PV1), AA, shown)
    for what, end in (("CR LF", "\r\n"), ("LF", "\n"), ("empty lines", "\r\r\n\n")):
        yield Sample(f"line ends: {what}", raw(start, EVN, jane, PV1, end=end), AA, shown)
    yield Sample("no line end at the end", raw(start, EVN, jane).rstrip(b"\r"), AA, shown)
    yield Sample("a byte order mark", b"\xef\xbb\xbf" + raw(start, EVN, jane), AA, shown)
    yield Sample("UTF-16", raw(start, EVN, jane, encoding="utf-16"), AA, shown)
    yield Sample("blanks and tabs before MSH", b" \t\r\n" + raw(start, jane), AA, shown)
    yield Sample("empty segments", raw(start, "EVN", "PD1", jane, "PV1|", "ZXX"), AA, shown)
    tailed = raw(start + "|" * 12, EVN + "|" * 9, jane + "|" * 60, PV1 + "|" * 80)
    yield Sample("trailing fields", tailed, AA, shown)
    own = raw(start, "ZBX|x^y|~~", EVN, "ZPI|1|8^^^A", jane, "ZPD|a&b", PV1, "ZZZ")
    yield Sample("Z segments everywhere", own, AA, shown)
    yield Sample("no EVN", raw(start, jane), AA, shown)
    yield Sample("EVN that says nothing", raw(start, "EVN|A08|2026-03-01", jane), AA, shown)
    for name in ("ADT^A08^ADT_A40", "ADT^A08", "ADT^A08^", "ADT^A08^*^X"):
        yield Sample(f"MSH-9 {name}", raw(msh(name), EVN, jane), AA, shown)
    other = raw(start, jane).replace(b"^", b"$").replace(b"|", b"#")
    yield Sample("other delimiters", other.replace(b"$~\\&", b"$~\\&", 1), AA, shown)
    longer = raw(msh("ADT^A08", delimiters="^~\\&#", version="2.7"), jane)
    yield Sample("a fifth delimiter (2.7)", longer, AA, shown)
    short = raw(msh("ADT^A08", delimiters="^"), jane)
    yield Sample("only one delimiter", short, AA, shown)
    long_id = raw(msh("ADT^A08", control_id="{id}" + "9" * 180), jane)
    yield Sample("a control ID of two hundred digits", long_id, AA, shown)
    blob = "OBX|1|ED|PDF||^application^pdf^Base64^" + "QUJD" * (5 * MIB // 4)
    yield Sample("5 MB", raw(start, EVN, jane, PV1, blob), AA, shown)
    many = raw(start, EVN, jane, *("NTE|1||a line of no use",) * 20_000)
    yield Sample("twenty thousand notes", many, AA, shown)


def _text() -> Iterable[Sample]:
    meier = pid("7010^^^A", "MÜLLER^JÖRG", "19620202", "M")
    shown = (Shown("7010^^^A", "MÜLLER^JÖRG"),)
    says = {charset: msh("ADT^A08", charset=charset) for charset in ("", "8859/1", UTF_8)}
    yield Sample("UTF-8", raw(says[UTF_8], meier), AA, shown)
    yield Sample("8859/1", raw(says["8859/1"], meier, encoding="latin-1"), AA, shown)
    undeclared = raw(says[""], meier, encoding="latin-1")
    yield Sample("8859/1, undeclared", undeclared, AA, shown)
    yield Sample("UTF-8, undeclared", raw(says[""], meier), AA, shown)
    yield Sample("MSH-18 says 8859/1 of UTF-8", raw(says["8859/1"], meier), AA, shown)
    lying = raw(says[UTF_8], meier, encoding="latin-1")
    yield Sample("MSH-18 says UTF-8 of 8859/1", lying, AA, shown)
    unknown = raw(msh("ADT^A08", charset="KLINGON"), meier)
    yield Sample("MSH-18 says what nobody knows", unknown, AA, shown)
    escaped = pid("7011^^^A", "Sm\\T\\th\\S\\x^M\\XC3A4\\ry\\.br\\Ann", "1963", "F")
    found = (Shown("7011^^^A", "Sm&th x^Märy Ann", "1963"),)
    yield Sample("escapes", adt(escaped), AA, found)
    stray = pid("7012^^^A", "BETA^BERT\nHANS", "19640404", "M")
    yield Sample("a line feed within a name", adt(stray), AA, (Shown("7012^^^A"),))
    kanji = "YAMADA^TARO^^^^^L^A~山田^太郎^^^^^L^I~ヤマダ^タロウ^^^^^L^P"
    yield Sample("a name in three writings", adt(pid("7013^^^A", kanji)), AA)
    tabs = pid("7014^^^A", "GAMMA\t^\tGINA", "19650505", "F")
    yield Sample("tabs", adt(tabs), AA, (Shown("7014^^^A", "GAMMA^GINA"),))


# -- What a message says of a patient ------------------------------------------------------


def _patients() -> Iterable[Sample]:
    yield Sample("a bare PID", adt(pid("7020")), AA, (Shown("7020^^^A"),))
    blank = adt("PID|||100^^^A|| ", event="A31")
    yield Sample("PID-5 of a single blank (ITI-10)", blank, AA, (JANE,))
    bare = adt("PID|||100^^^A", "PV1||N", event="A31")
    yield Sample("nothing but a known ID", bare, AA, (JANE,))
    full = pid("7021^^^A", "DELTA^DORA", "19660606", "F")
    shown = Shown("7021^^^A", "DELTA^DORA", "19660606")
    yield Sample("one to clear something of", adt(full), AA, (shown,))
    cleared = adt(pid("7021^^^A", "DELTA^DORA", '""'))
    yield Sample('`""` in PID-7', cleared, AA, (Shown("7021^^^A", "DELTA^DORA"),))
    several = "7022^^^A&1.2.3.1&ISO^MR~E7022^^^E^PI~123-45-6789^^^SSA^SS~7022^^^A^MR"
    owned = Shown("7022^^^A", "EPS^EVA"), Shown("E7022^^^E", "EPS^EVA")
    yield Sample("repeated PID-3", adt(pid(several, "EPS^EVA")), AA, owned)
    for what, authority in (
        ("an OID alone", "&1.2.3.1&ISO"),
        ("an OID without its type", "&1.2.3.1"),
        ("an alias", "HISA"),
    ):
        who = adt(pid(f"7023^^^{authority}", "ZETA^ZOE"))
        yield Sample(f"HD: {what}", who, AA, (Shown("7023^^^A", "ZETA^ZOE"),))
    old = raw(msh("ADT^A04", version="2.2", charset=""), "PID||7024^^^A||7025|ETA^EMIL")
    both = Shown("7024^^^A", "ETA^EMIL"), Shown("7025^^^A", "ETA^EMIL")
    yield Sample("PID-2 and PID-4, as in 2.2", old, AA, both)
    time = adt(pid("7026^^^A", "THETA^THEO", "196707070815", "M"))
    yield Sample("a birth time", time, AA, (Shown("7026^^^A", "THETA^THEO", "19670707"),))
    zeros = adt(pid("0007027^^^A", "IOTA^IDA"))
    kept = (Shown("0007027^^^A", "IOTA^IDA"),)
    yield Sample("leading zeros", zeros, AA, kept, absent=("7027^^^A",))
    again = adt(pid("7001^^^A", "ALPHA^ANNE", "19610101", "F"), event="A28")
    yield Sample("A28 of one who is known", again, AA)
    for event in ("A01", "A04", "A05"):
        who = adt(pid(f"703{event}^^^A", "KAPPA^KIM"), event=event)
        yield Sample(f"{event} of one who is new", who, AA, (Shown(f"703{event}^^^A"),))


def _refused_patients() -> Iterable[Sample]:
    missing, malformed = ("AE", "101", "PID^1^3"), ("AE", "102", "PID^1^3")
    unknown = ("AE", "204", "PID^1^3")
    yield Sample("`null` as an ID", adt(pid("null^^^A", "X^Y")), missing, (), ("null^^^A",))
    yield Sample('`""` as an ID', adt(pid('""', "X^Y")), missing)
    yield Sample("an authority without an ID", adt(pid("^^^A", "X^Y")), missing)
    yield Sample("an ID that says nothing", adt(pid("W/I^^^A", "X^Y")), missing)
    yield Sample("PID-18 only", adt(at(18, "7040^^^A")), missing, (), ("7040^^^A",))
    yield Sample("an empty PID", adt("PID"), missing)
    yield Sample("no PID", adt(PV1), ("AE", "100", "PID^1"))
    two = adt(pid("7041^^^A"), pid("7042^^^A"))
    yield Sample("two PIDs", two, ("AE", "100", "PID^2"), (), ("7041^^^A", "7042^^^A"))
    one = raw(msh("ADT^A08"), pid("7043^^^A"))
    yield Sample("two messages in one", one * 2, ("AE", "100", "MSH^2"))
    yield Sample("an OID that is none", adt(pid("7044^^^&1.02.x&ISO")), malformed)
    yield Sample("an ID of 65 characters", adt(pid("7" * 65 + "^^^A")), malformed)
    yield Sample("an ID with a control", adt(pid("70\\X0A\\45^^^A")), malformed)
    day = adt(pid("7046^^^A", "X^Y", "19801301"))
    yield Sample("a month that is none", day, ("AE", "102", "PID^1^7"), (), ("7046^^^A",))
    clinic = adt(pid("7047^^^CLINIC9", "X^Y"))
    yield Sample("an unknown authority", clinic, AA, held=True)
    foreign = adt(pid("7048^^^B", "X^Y"))
    yield Sample("an authority of others", foreign, unknown, (), ("7048^^^B",), True)
    torn = adt(pid("7049^^^A&1.2.3.2&ISO", "X^Y"))
    neither = ("7049^^^A", "7049^^^B")
    yield Sample("a name and an OID of two", torn, AA, (), neither, held=True)
    crossed = adt(pid("100^^^A~555^^^B", "DOE^JANE"), sender="EMPI")
    yield Sample("IDs of two patients", crossed, AA, (JANE, RICHARD), held=True)
    overlay = adt(pid("100^^^A", "WHITE^WALTER", "19580907", "M"))
    yield Sample("another person of a sudden", overlay, AA, (JANE,), held=True)
    ris_b = adt(pid("100^^^A", "DOE^JOAN", "19800102", "F"), sender="RIS_B")
    yield Sample("a sender without authority", ris_b, unknown, (JANE,), held=True)


def _headers() -> Iterable[Sample]:
    jane = pid("100^^^A")
    stranger = raw(msh("ADT^A08", sender="RIS_Z"), pid("7050^^^A"))
    yield Sample("an unknown sender", stranger, ("AR", "103", "MSH^1^3"), (), ("7050^^^A",))
    for name in ("ADT^A15^ADT_A15", "ADT^a08", "ADT", "ADT^A17^ADT_A17", "ORM^O02"):
        yield Sample(f"MSH-9 {name}", raw(msh(name), jane), NOT_SUPPORTED)
    for name in ("QBP^Q22^QBP_Q21", "MDM^T02", "ZZZ^Z01", ""):
        answer = ("AR", "200", "MSH^1^9^1^1")
        yield Sample(f"MSH-9 {name}", raw(msh(name), jane), answer)
    for event in ("A35", "A36", "A41", "A42", "A46", "A49", "A50", "A51"):
        yield Sample(f"{event}", adt(jane, "MRG|200^^^A", event=event), NOT_SUPPORTED)
    batch = raw("BHS|^~\\&|RIS_A", msh("ADT^A08"), pid("7051^^^A"), "BTS|1")
    yield Sample("a batch", batch, ("AR", "100", ""), (), ("7051^^^A",))
    yield Sample("no HL7 at all", b"GET / HTTP/1.1\r\n\r\n", ("AR", "100", ""))
    yield Sample("XML", b"<?xml version='1.0'?><ADT_A01/>", ("AR", "100", ""))
    yield Sample("MSH and no more", b"MSH|^~\\&|\r", ("AR", "103", "MSH^1^3"))
    yield Sample("nothing", b"", ("AR", "100", ""))
    yield Sample("an acknowledgement", raw(msh("ACK^A08^ACK"), "MSA|AA|1"), ())
    old = raw(msh("ADT^A08", version="2.3.1", charset=""), "PID|||")
    yield Sample("an error told to 2.3.1", old, ("AE", "101", "PID^1^3"))


# -- Visits, results, appointments ---------------------------------------------------------


def _visits() -> Iterable[Sample]:
    for event in ("A02", "A03", "A06", "A07", "A09", "A10", "A12", "A13", "A14"):
        who = f"706{event}^^^A"
        nobody = adt(pid(who, "LAMBDA^LEO"), "PV1||I", event=event)
        yield Sample(f"{event} of nobody known", nobody, AA, (), (who,))
    moved = adt(pid("7001^^^A", "ALPHA^ANNE MARIE", "19610101", "F"), event="A02")
    yield Sample("A02", moved, AA, (Shown("7001^^^A", "ALPHA^ANNE MARIE"),))
    more = adt(pid("7001^^^A~7061^^^A", "ALPHA^ANNE MARIE"), event="A03")
    yield Sample("A03 with one ID more", more, AA, (), ("7061^^^A",))
    foreign = adt(pid("100^^^A", "DOE^JO", "19800102", "F"), event="A03", sender="RIS_B")
    yield Sample("A03 of a sender without authority", foreign, AA, (JANE,))
    strange = adt(pid("100^^^A", "WHITE^WALTER", "19580907", "M"), event="A03")
    yield Sample("A03 of another person", strange, AA, (JANE,), held=True)
    for event in ("A11", "A23", "A38"):
        undone = adt(pid("100^^^A", "WHITE^WALTER", "19580907", "M"), PV1, event=event)
        yield Sample(f"{event}", undone, AA, (JANE,))
    result = raw(msh("ORU^R01^ORU_R01"), pid("7062^^^A", "MU^MO"), "OBR|1", "OBX|1|TX")
    yield Sample("a result", result, AA, (), ("7062^^^A",))
    large = raw(msh("ORU^R30"), "OBX|1|ED|||^^PDF^Base64^" + "QUJD" * (5 * MIB // 4))
    yield Sample("a result of 5 MB", large, AA)
    slot = raw(msh("SIU^S12^SIU_S12"), "SCH|1", pid("7063^^^A", "NU^NO"))
    yield Sample("an appointment", slot, AA, (), ("7063^^^A",))


# -- Orders --------------------------------------------------------------------------------


def _orders() -> Iterable[Sample]:
    yield Sample(
        "an order", orm("ORC|NW|P1|F1||SC", obr("7100"), at(1, "1.2.7100", "ZDS")), AA
    )
    repeated = orm("ORC|NW|P2", obr("7101", "RP1"), obr("7101", "RP2"), obr("7101", "RP3"))
    yield Sample("repeated OBR under one ORC", repeated, AA)
    zds = at(1, "1.2.7102^RIS^Application^DICOM", "ZDS"), at(1, "1.2.7103", "ZDS")
    groups = orm("ORC|NW", obr("7102"), zds[0], "ORC|NW", obr("7103"), zds[1])
    yield Sample("a ZDS per group", groups, AA)
    steps = ipc("7104", "RP1", "1.2.7104", "S1"), ipc("7104", "RP1", "1.2.7104", "S2")
    omi = orm("ORC|NW|P4", "TQ1|1||||||202603011200", obr(), *steps, name="OMI^O23^OMI_O23")
    yield Sample("OMI with several IPC", omi, AA)
    eye = orm("ORC|NW", obr("7105"), at(1, "1.2.7105", "ZDS"), name="OMG^O19^OMG_O19")
    yield Sample("OMG", eye, AA)
    walk_in = pid("7106^^^A", "XI^XENIA", "19710101", "F")
    new = orm("ORC|NW", obr("7106"), patient=walk_in)
    yield Sample("an order of one who is new", new, AA, (Shown("7106^^^A", "XI^XENIA"),))
    yield Sample("lower case", orm("ORC|nw", obr("7107")), AA)
    notes = orm("NTE|1||x", "ORC|NW", "NTE|1||y", obr("7108"), "OBX|1|TX", "ZXX|1", "DG1|1")
    yield Sample("notes and more between", notes, AA)
    yield Sample("an order with numbers", orm("ORC|NW|P9^HIS|F9^RIS", obr("7109")), AA)
    yield Sample("in progress, by the filler's number", orm("ORC|SC||F9^RIS||IP"), AA)
    yield Sample("cancelled, by the placer's number", orm("ORC|CA|P9^HIS"), AA)
    visit = "PV1||O" + "|" * 17 + "V7110"
    account = pid("7110^^^A", "OMI^OLGA", "19720202", "F", "|" * 10 + "ACC7110")
    whole = raw(msh("ORM^O01"), account, visit, "ORC|NW", obr("7110"))
    yield Sample("an order of a visit and an account", whole, AA)
    yield Sample("an answer to others", orm("ORC|OK|P1|F1", obr("7100")), AA)
    yield Sample("a changed order that is new", orm("ORC|XO|||||", obr("7111")), AA)


def _refused_orders() -> Iterable[Sample]:
    yield Sample("no key", orm("ORC|NW|P7|F7", obr()), ("AE", "101", "OBR^1^18"))
    yield Sample("no ORC", orm(obr("7120")), ("AE", "100", "ORC^1"))
    yield Sample("no order at all", orm(), ("AE", "100", "ORC^1"))
    yield Sample("an empty ORC-1", orm("ORC|", obr("7121")), ("AE", "101", "ORC^1^1"))
    yield Sample("an unknown ORC-1", orm("ORC|QQ", obr("7122")), ("AE", "103", "ORC^1^1"))
    unknown = ("AE", "204", "ORC^1^2")
    yield Sample("CA of an unknown order", orm("ORC|CA|P", obr("7123")), unknown)
    yield Sample("SC by an unknown number", orm("ORC|SC|P8888|F8888||CM"), unknown)
    uid = orm("ORC|NW", obr("7124"), "ZDS|1.2.x^RIS")
    yield Sample("a Study UID that is none", uid, ("AE", "102", "ZDS^1^1"))
    two = orm("ORC|NW", obr("7125"), "ORC|NW", obr("7126"), "ZDS|1.2.7125")
    yield Sample("one ZDS of two orders", two, ("AE", "100", "ZDS^1"))
    other = orm("ORC|SC|||||", obr("7100"), patient=pid("200^^^A", "ROE^RICHARD"))
    yield Sample("SC of another patient's order", other, AA, held=True)


# -- Who is who ----------------------------------------------------------------------------


def _pairs() -> Iterable[Sample]:
    """Merges and their kin, each over patients of its own."""
    for number, event in ((7200, "A40"), (7202, "A18"), (7204, "A34"), (7206, "A39")):
        yield from _registered(number, number + 1)
        merged = adt(pid(f"{number}^^^A"), f"MRG|{number + 1}^^^A", event=event)
        name = Shown(f"{number + 1}^^^A", f"MERGED^M{number}")
        yield Sample(f"{event}", merged, AA, (name,), waits=WAIT)
    yield from _registered(7208, 7209)
    old = adt("PID||7208^^^A", "MRG||||7209^^^A", event="A30")
    yield Sample("A30, PID-2 and MRG-4", old, AA, waits=WAIT)
    yield from _registered(7210, 7211)
    blanks = adt(pid("7210^^^A"), 'MRG|7211^^^A| |""|^^^|""|"" |', event="A40")
    yield Sample("A40, MRG with blanks", blanks, AA, waits=WAIT)
    before = adt(pid("7212^^^A"), "MRG|7213^^^A", event="A40")
    yield Sample("A40 of two who are unknown", before, AA, waits=WAIT)
    yield Sample("A47", adt(pid("7214^^^A"), "MRG|7215^^^A", event="A47"), AA, waits=WAIT)
    linked = adt(pid("7200^^^A"), PV1, pid("7202^^^A"), PV1, event="A24")
    yield Sample("A24", linked, AA, waits=WAIT)
    yield Sample("A37", adt(pid("7200^^^A"), pid("7202^^^A"), event="A37"), AA, waits=WAIT)
    never = adt(pid("7204^^^A"), pid("7206^^^A"), event="A37")
    yield Sample("A37 of what was never linked", never, AA, waits=WAIT)
    yield from _registered(7216, 7217)
    moved = adt(pid("7216^^^A"), "MRG|7217^^^A", event="A43")
    yield Sample("A43", moved, AA, (Shown("7217^^^A", "MERGED^M7216"),), waits=WAIT)
    yield from _registered(7218)
    visit = "MRG|7110^^^A||||V7110", "PV1||O" + "|" * 17 + "V7110"
    yield Sample("A45", adt(pid("7218^^^A"), *visit, event="A45"), AA, waits=WAIT)
    account = adt(pid("7110^^^A"), "MRG|7218^^^A||ACC7110", event="A44")
    yield Sample("A44", account, AA, waits=WAIT)
    yield Sample("A29", adt(pid("7210^^^A"), PV1, event="A29"), AA, waits=WAIT)


def _registered(*numbers: int) -> Iterable[Sample]:
    for number in numbers:
        # The second of a pair is the one that the first turns out to be.
        name = f"MERGED^M{number}"
        who = adt(pid(f"{number}^^^A", name, "19900909", "F"), event="A28")
        yield Sample(f"{number} is registered", who, AA, (Shown(f"{number}^^^A", name),))


def _refused_pairs() -> Iterable[Sample]:
    jane, mrg = pid("100^^^A"), "MRG|200^^^A"
    both = (JANE, RICHARD)
    for event in ("A40", "A47", "A43", "A18"):
        missing = ("AE", "101", "MRG^1^1")
        named = adt(jane, 'MRG|""', event=event)
        yield Sample(f"{event}, MRG-1 is empty", named, missing, both)
        no_mrg = adt(jane, event=event)
        yield Sample(f"{event}, no MRG", no_mrg, ("AE", "100", "MRG^1"), both)
    several = adt(jane, mrg, pid("402^^^A"), "MRG|401^^^A", event="A40")
    yield Sample("A40, two patients", several, ("AE", "100", "PID^2"), both)
    two = adt(jane, mrg, "MRG|401^^^A", event="A40")
    yield Sample("A40, two MRG", two, ("AE", "100", "MRG^2"), both)
    yield Sample("A40, no PID", adt(mrg, event="A40"), ("AE", "100", "PID^1"), both)
    bad = adt(jane, "MRG|200^^^&1.x&ISO", event="A40")
    yield Sample("A40, an OID that is none", bad, ("AE", "102", "MRG^1^1"), both)
    one = adt(jane, event="A24")
    yield Sample("A24 with one PID", one, ("AE", "100", "PID^2"), both)
    no_visit = adt(jane, mrg, PV1, event="A45")
    yield Sample("A45 without a visit", no_visit, ("AE", "101", "MRG^1^5"), both)
    same = adt(jane, "MRG|100^^^A", event="A40")
    yield Sample("A40 of one with itself", same, ("AE", "205"), both, held=None, waits=WAIT)
    foreign = adt(jane, mrg, event="A40", sender="RIS_B")
    yield Sample(
        "A40 without authority", foreign, ("AE", "204"), both, held=None, waits=WAIT
    )
    test = adt(jane, "MRG|7299^^^X", event="A40", sender="EMPI")
    yield Sample("A40 with a test patient", test, ("AE",), both, held=None, waits=WAIT)
    taken = adt(jane, mrg, event="A47")
    yield Sample(
        "A47 to an ID that is taken", taken, ("AE", "205"), both, held=None, waits=WAIT
    )
    nobody = adt(jane, "MRG|null^^^A", event="A40")
    yield Sample("A40, `null` in MRG-1", nobody, ("AE",), (JANE,), held=None, waits=WAIT)


SAMPLES: tuple[Sample, ...] = (
    *_written(),
    *_text(),
    *_patients(),
    *_refused_patients(),
    *_headers(),
    *_visits(),
    *_orders(),
    *_refused_orders(),
    *_pairs(),
    *_refused_pairs(),
)
