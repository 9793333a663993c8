"""Regular expressions that choose topics. What they match is judged beside RE2/J, in tests/kafka."""

import pytest

from felice.broker.groups.topic_patterns import topic_pattern
from felice.broker.refusal import Refused
from felice.errors import ErrorCode


def test_the_whole_name_has_to_match():
    matches = topic_pattern(r"orders\.(eu|us)")
    assert [
        name for name in ("orders.eu", "orders.us", "orders-eu", "orders.eu.old", "my.orders.eu") if matches(name)
    ] == [
        "orders.eu",
        "orders.us",
    ]


@pytest.mark.parametrize("text", ["(a*)*b", "(a|aa)*b", "((a{100}){100}){100}", "((a?){1000}){1000}b", ".*.*.*.*.*x"])
def test_no_expression_takes_for_ever(text: str):
    """Those that go back to try again, as Python's own, would not be done with these in a lifetime."""
    assert not topic_pattern(text)("a" * 249)


@pytest.mark.parametrize("text", ["(", "a)", "[z-a]", "a**", "a{1001}", r"(a)\1", "(?=a)", "(" * 200 + ")" * 200])
def test_what_is_none_is_refused(text: str):
    with pytest.raises(Refused) as refused:
        topic_pattern(text)
    assert refused.value.code is ErrorCode.INVALID_REGULAR_EXPRESSION
