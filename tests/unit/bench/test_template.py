"""Copies of rows: everything that must differ does, and nothing else."""

from __future__ import annotations

from itertools import pairwise
from uuid import UUID

from bench.catalogue import Shape
from bench.template import Template, fresh, new_ids, templates, tokens

SHAPE = Shape(["id", "digest", "said"], ["id"], [1], identified=True)
ROW = "018f\t\\\\xabcd\tP1 of 018f"


def test_the_longest_token_wins() -> None:
    """
    One identifier may begin like another: the row is cut at the longer one.
    """
    template = Template("1.2.3.4 1.2", {"1.2": "study", "1.2.3.4": "instance"})
    assert template.fill({"study": "A", "instance": "B"}) == "B A"


def test_ids_and_digests_are_found_wherever_they_stand() -> None:
    """
    A row's id and digest leave gaps in every row that names them.
    """
    known = tokens({"table": {"018f": ROW}}, {"table": SHAPE}, "its")
    assert known == {"018f": "its table 0", "abcd": "its table 0 digest"}
    (template,) = templates({"table": {"018f": ROW}}, known)["table"]
    filled = template.fill({"its table 0": "019a", "its table 0 digest": "ef"})
    assert filled == "019a\t\\\\xef\tP1 of 019a"


def test_a_row_that_is_nobodys_is_not_copied() -> None:
    """
    What all studies have in common is there already.
    """
    assert templates({"domain": {"A": "A\tt"}}, {"P1": "patient"}) == {"domain": []}


def test_new_values_are_of_the_kind_that_was_there() -> None:
    """
    A digest for a digest, and ids that count upwards as those of the archive do.
    """
    values = fresh(["a", "a digest"], new_ids())
    assert UUID(values["a"]).version == 7
    assert len(bytes.fromhex(values["a digest"])) == 32
    ids = new_ids()
    assert all(one < other for one, other in pairwise(next(ids) for _ in range(100)))
