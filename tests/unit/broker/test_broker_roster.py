"""The members of a classic group: who leads, who is static, and what they vote for."""

import pytest

from felice.broker.groups.member import Member
from felice.broker.groups.roster import Roster
from felice.broker.java import address_text, bucket, string_hash
from felice.broker.refusal import Refused
from felice.errors import ErrorCode


def member(name: str, *protocols: str, instance: str | None = None, rebalance: int = 1000) -> Member:
    """Return a member with empty metadata."""
    return Member(
        name,
        instance,
        client_id="client",
        client_host="/127.0.0.1",
        rebalance_timeout=rebalance,
        session_timeout=1000,
        protocols=dict.fromkeys(protocols or ("range",), b""),
    )


def roster(*members: Member) -> Roster:
    """Return a roster of these."""
    made = Roster()
    for someone in members:
        made.add(someone)
    return made


def refused(made: Roster, member_id: str, instance_id: str | None) -> ErrorCode:
    """Return why this is no member."""
    with pytest.raises(Refused) as caught:
        made.check(member_id, instance_id)
    return caught.value.code


def test_the_first_leads_and_when_it_goes_the_next_one_does():
    made = roster(member("a"), member("b"), member("c"))
    assert made.leader == "a"
    made.remove("b")
    assert made.leader == "a"
    made.remove("a")
    assert made.leader == "c"
    made.remove("c")
    assert made.leader is None


def test_a_static_member_is_known_by_its_instance_and_its_former_self_is_fenced():
    someone = member("a-1", instance="a")
    made = roster(member("x"), someone)
    assert made.check("a-1", "a") is someone
    assert made.check("a-1", None) is someone
    assert refused(made, "a-2", "a") is ErrorCode.FENCED_INSTANCE_ID
    assert refused(made, "a-1", "b") is ErrorCode.UNKNOWN_MEMBER_ID
    assert refused(made, "y", None) is ErrorCode.UNKNOWN_MEMBER_ID
    made.rename(someone, "a-2")
    assert made.check("a-2", "a") is someone
    assert refused(made, "a-1", "a") is ErrorCode.FENCED_INSTANCE_ID
    assert refused(made, "a-1", None) is ErrorCode.UNKNOWN_MEMBER_ID


def test_a_static_member_that_comes_back_keeps_its_place_and_leads_on():
    someone = member("a-1", instance="a")
    made = roster(someone, member("x"))
    made.rename(someone, "a-2")
    assert made.leader == "a-2"
    assert list(made.members) == ["a-2", "x"]
    made.remove("a-2")
    assert made.static_member("a") is None


@pytest.mark.parametrize(
    ("ballot", "elected"),
    [
        ([("a", "b"), ("a", "b"), ("b", "a")], "a"),
        ([("a", "b"), ("b",)], "b"),
        ([("x", "b"), ("y", "b")], "b"),
        ([("range", "sticky"), ("sticky", "range")], "sticky"),
        ([("roundrobin", "range"), ("range", "roundrobin")], "range"),
    ],
)
def test_the_protocol_is_what_most_members_like_best_of_what_all_know(ballot: list[tuple[str, ...]], elected: str):
    made = roster(*(member(str(number), *protocols) for number, protocols in enumerate(ballot)))
    assert made.elected_protocol() == elected


def test_who_has_no_protocol_in_common_with_all_does_not_fit():
    made = roster(member("1", "a", "b"), member("2", "b", "c"))
    assert made.supports({"b": b""})
    assert not made.supports({"a": b"", "c": b""})
    assert not made.supports({})
    assert roster().supports({"z": b""})


def test_time_to_join_is_the_longest_that_a_member_grants():
    assert roster(member("1", rebalance=5), member("2", rebalance=9), member("3", rebalance=7)).rebalance_timeout == 9
    assert roster().rebalance_timeout == 0


def test_texts_are_hashed_and_addresses_written_as_in_java():
    assert string_hash("range") == 108280125
    assert string_hash("polygenelubricants") == 1 << 31
    assert (bucket("range"), bucket("roundrobin")) == (9, 10)
    assert address_text("127.0.0.1") == "/127.0.0.1"
    assert address_text("::1") == "/0:0:0:0:0:0:0:1"
    assert address_text("fe80::1%eth0") == "/fe80:0:0:0:0:0:0:1"
