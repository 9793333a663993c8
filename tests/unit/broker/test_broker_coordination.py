"""Which node coordinates what."""

import pytest

from felice.broker.coordination import java_hash


@pytest.mark.parametrize(
    ("text", "number"),
    [("", 0), ("a", 97), ("letters", 68378893), ("post-office", 866378615), ("Büro😀", 2127527002)],
)
def test_names_fall_to_partitions_by_javas_hash(text, number):
    """Worked out with `String.hashCode`, made positive."""
    assert java_hash(text) == number


def test_the_one_number_without_a_positive_counterpart_is_zero():
    """ "polygenelubricants" has the hash -2**31 in Java."""
    assert java_hash("polygenelubricants") == 0
