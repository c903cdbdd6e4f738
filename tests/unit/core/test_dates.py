"""Birth dates: read as precisely as they were said, compared no more precisely."""

import pytest

from reconcile.core.dates import DateAgreement, compare, is_one_edit, read


@pytest.mark.parametrize(
    ("written", "digits"),
    [
        ("19800102", "19800102"),
        (" 19800102\0", "19800102"),
        ("1980.01.02", "19800102"),
        ("1980-01-02", "19800102"),
        ("198001021530", "19800102"),
        ("19800102153000.000+0100", "19800102"),
        ("198005", "198005"),
        ("1980-05", "198005"),
        ("1980", "1980"),
        ("19800500", "198005"),
        ("19800000", "1980"),
        ("19801399", "19801399"),
        ("", ""),
        ("00000000", ""),
        ("00010101", ""),
        ("99991231", ""),
        ("UNKNOWN", ""),
        ("02/01/1980", ""),
        ("19800102X", ""),
        ("1980010", ""),
        ("１９８００１０２", ""),
    ],
)
def test_a_date_is_read_as_far_as_it_means_something(written: str, digits: str) -> None:
    """
    Zeros and missing parts are not known; what is no date is nothing.
    """
    assert digits == read(written)


@pytest.mark.parametrize(
    ("written", "placeholder", "digits"),
    [
        ("19000101", "19000101", ""),
        ("1900-01-01", "19000101", ""),
        ("19000102", "19000101", "19000102"),
        ("19000102", "1900", ""),
        ("19800102", "", "19800102"),
    ],
)
def test_a_placeholder_is_no_date(written: str, placeholder: str, digits: str) -> None:
    """
    A configured placeholder covers every date that begins with it.
    """
    assert digits == read(written, [placeholder])


@pytest.mark.parametrize(
    ("one", "other", "agreement"),
    [
        ("19800102", "19800102", DateAgreement.EQUAL),
        ("19800102", "19800201", DateAgreement.TRANSPOSED),
        ("19803112", "19801231", DateAgreement.TRANSPOSED),
        ("19800102", "19800103", DateAgreement.ONE_EDIT),
        ("19800102", "19810102", DateAgreement.ONE_EDIT),
        ("19800102", "19080102", DateAgreement.ONE_EDIT),
        ("19800132", "19800131", DateAgreement.ONE_EDIT),
        ("198005", "19800517", DateAgreement.COARSE),
        ("1980", "19800517", DateAgreement.COARSE),
        ("1980", "198005", DateAgreement.COARSE),
        ("1980", "1980", DateAgreement.COARSE),
        ("19800101", "19800517", DateAgreement.COARSE),
        ("19800101", "198005", DateAgreement.COARSE),
        ("19800101", "19820517", DateAgreement.DIFFERENT),
        ("198005", "19800617", DateAgreement.DIFFERENT),
        ("1980", "1981", DateAgreement.DIFFERENT),
        ("19800102", "19520102", DateAgreement.DIFFERENT),
        ("19801399", "19520102", DateAgreement.UNKNOWN),
        ("198013", "19800102", DateAgreement.UNKNOWN),
        ("", "19800102", DateAgreement.UNKNOWN),
        ("", "", DateAgreement.UNKNOWN),
    ],
)
def test_dates_agree_as_precisely_as_they_are_known(
    one: str, other: str, agreement: DateAgreement
) -> None:
    """
    One slip in a full date is forgiven; a date that does not exist never contradicts.
    """
    assert agreement is compare(one, other)
    assert agreement is compare(other, one)
    assert agreement.compatible is (agreement >= DateAgreement.COARSE)


@pytest.mark.parametrize(
    ("one", "other", "edit"),
    [
        ("abc", "abc", False),
        ("abc", "abd", True),
        ("abc", "bac", True),
        ("abc", "acb", True),
        ("abc", "ab", True),
        ("abc", "bc", True),
        ("abc", "abcd", True),
        ("", "a", True),
        ("", "", False),
        ("abc", "a", False),
        ("abc", "cba", False),
        ("abcd", "badc", False),
    ],
)
def test_one_edit_is_one_slip_of_a_finger(one: str, other: str, edit: bool) -> None:
    """
    A character more, less or other, or two neighbours swapped; exactly one of these.
    """
    assert edit is is_one_edit(one, other)
    assert edit is is_one_edit(other, one)
