"""`python -m tests.interop.table`: which peer was tried with which service, as a table.

The tests of this folder are run against running archives; contents are compared, not
only statuses. Exits 1 where one fails.
"""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.support.verdicts import Verdicts

FOLDER = Path(__file__).parent
_TEST = re.compile(r"^def (test_\w+)", re.MULTILINE)


class Tried(NamedTuple):
    """A program of others, and what it asks for; `tests` hold of them."""

    peer: str
    service: str
    tests: tuple[str, ...]


TABLE = (
    Tried("DCMTK echoscu", "C-ECHO", ("test_echoscu",)),
    Tried(
        "DCMTK storescu",
        "C-STORE",
        (
            "test_storescu_is_told_of_coercion_and_goes_on",
            "test_storescu_again_changes_nothing",
            "test_storescu_sends_and_is_told_success",
            "test_storescu_is_told_of_coercion",
            "test_storescu_is_told_of_an_error",
            "test_storescu_is_told_of_a_limit",
            "test_who_is_unknown_is_rejected",
        ),
    ),
    Tried(
        "DCMTK storescu and findscu",
        "rejection notes",
        ("test_what_storescu_rejects_findscu_does_not_find",),
    ),
    Tried(
        "DCMTK dcmsend",
        "C-STORE, compressed and deflated",
        (
            "test_dcmsend_sends_many_files_in_many_transfer_syntaxes",
            "test_dcmsend_sends_compressed_and_deflated",
            "test_dcmsend_uses_several_associations_and_small_pdus",
        ),
    ),
    Tried(
        "DCMTK dcmdump, dcmsign",
        "what is given out",
        (
            "test_dcmtk_reads_what_is_given_out",
            "test_a_signature_of_what_did_not_change_still_verifies",
            "test_a_broken_signature_is_not_given_out",
            "test_left_in_place_it_would_be_found_bad",
        ),
    ),
    Tried(
        "DCMTK findscu",
        "C-FIND",
        (
            "test_findscu",
            "test_findscu_cancels",
            "test_findscu_at_image_level",
            "test_findscu_cancels_at_image_level",
        ),
    ),
    Tried("DCMTK findscu -W", "Modality Worklist", ("test_findscu_asks_for_the_worklist",)),
    Tried(
        "pynetdicom",
        "C-FIND",
        (
            "test_pynetdicom_finds_by_every_identifier",
            "test_row_04_a_bare_id_is_of_whoever_asks",
            "test_patient_and_series_level",
            "test_keys_that_are_not_looked_at_are_told",
            "test_what_is_no_question_is_refused",
            "test_a_destination_queries_and_stores_nothing",
            "test_a_study_under_its_orders_uid",
            "test_received_and_assigned_find_the_same",
            "test_after_a_merge_the_subsumed_find_them_too",
            "test_a_list_of_uids_and_keys_of_instances",
        ),
    ),
    Tried(
        "pynetdicom",
        "Modality Worklist",
        (
            "test_the_worklist_by_every_identifier",
            "test_a_step_that_was_done_is_not_told",
            "test_odd_questions_about_the_worklist",
        ),
    ),
    Tried(
        "DCMTK movescu and storescp (one takes Implicit VR Little Endian only)",
        "C-MOVE",
        ("test_movescu_and_storescp",),
    ),
    Tried("DCMTK getscu", "C-GET", ("test_getscu",)),
    Tried(
        "pynetdicom",
        "C-MOVE, C-GET",
        (
            "test_what_a_get_is_told",
            "test_each_context_is_answered_in_its_own_transfer_syntax",
            "test_compression_without_loss_is_undone_for_who_takes_no_other",
            "test_a_peer_that_answers_with_a_warning_or_a_failure",
            "test_an_image_level_takes_a_list_of_uids",
            "test_received_assigned_and_subsumed_give_the_same",
            "test_the_destination_sees_the_patient_in_its_domain",
            "test_cancel",
            "test_cancel_of_a_move",
            "test_a_destination_that_is_down",
            "test_a_destination_that_breaks_off_is_asked_again",
            "test_what_is_no_retrieve_is_refused",
            "test_roles_are_for_who_may_query",
        ),
    ),
    Tried(
        "pynetdicom echoscu, storescu",
        "C-ECHO, C-STORE",
        ("test_the_echoscu_of_pynetdicom", "test_the_storescu_of_pynetdicom"),
    ),
    Tried(
        "pynetdicom findscu",
        "C-FIND, Modality Worklist",
        (
            "test_the_findscu_of_pynetdicom",
            "test_the_findscu_of_pynetdicom_asks_for_the_worklist",
        ),
    ),
    Tried("pynetdicom getscu", "C-GET", ("test_the_getscu_of_pynetdicom",)),
    Tried(
        "pynetdicom movescu and storescp (one takes Implicit VR Little Endian only)",
        "C-MOVE",
        ("test_the_movescu_and_storescp_of_pynetdicom",),
    ),
    Tried("rsyslog", "audit messages", ("test_rsyslog_takes_every_message_in_its_order",)),
    Tried("dicomply 0.0.1, which checks nothing yet", "DICOMweb", ("test_dicomply_check",)),
    Tried(
        "dicomweb-client",
        "QIDO-RS",
        ("test_dicomweb_client", "test_dicomweb_client_lists_a_study_and_a_series"),
    ),
    Tried(
        "dicomweb-client",
        "STOW-RS",
        (
            "test_what_is_stored_is_what_a_scanner_would_have_stored",
            "test_a_study_of_its_own_takes_no_other",
        ),
    ),
    Tried(
        "dicomweb-client",
        "WADO-RS",
        (
            "test_an_instance_is_retrieved_as_it_is_given_out",
            "test_every_identity_finds_the_same",
            "test_compression_without_loss_is_undone",
            "test_what_is_not_here_is_not_found",
        ),
    ),
)


def written() -> set[str]:
    """The tests of this folder."""
    texts = (path.read_text(encoding="utf-8") for path in FOLDER.glob("test_*.py"))
    return {name for text in texts for name in _TEST.findall(text)}


def verdict(tried: Tried, results: dict[str, str]) -> str:
    """What is said of a row."""
    told = [results.get(name, "not run") for name in tried.tests]
    return "holds" if set(told) == {"passed"} else "FAILS"


def main(arguments: list[str]) -> int:
    """Run the tests and print the table; 1 where one fails."""
    heard = Verdicts()
    quiet = ["-q", "--no-header", "--no-summary", "-p", "no:cacheprovider"]
    code = pytest.main([str(FOLDER), *quiet, *arguments], plugins=[heard])
    print(f"\n{'peer':74}  {'service':33}  {'tests':>5}")
    failed = 0
    for tried in TABLE:
        said = verdict(tried, heard.of)
        failed += said != "holds"
        print(f"{tried.peer:74}  {tried.service:33}  {len(tried.tests):>5}  {said}")
        for name in tried.tests:
            if heard.of.get(name) != "passed":
                print(f"    {heard.of.get(name, 'not run'):8} {name}")
    return int(bool(code) or failed > 0)


if __name__ == "__main__":
    os.environ.setdefault("PYTHONUTF8", "1")
    sys.exit(main(sys.argv[1:]))
