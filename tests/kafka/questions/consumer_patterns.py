"""Questions about regular expressions that choose topics (KIP-848)."""

from typing import Any

from asking import Asker
from felice.wire.messages.consumer_group_heartbeat import ConsumerGroupHeartbeatRequest
from questions.asked import eventually, question
from questions.consumer_members import Band

EXPRESSIONS = (
    "a{2,1}", "(?<n>a)", "(?P<n>a)(?P<n>b)", "(?=a)", "(?<=a)", r"(a)\1", "a++", "[a", "[]", "*a", "a{1001}", r"\Qa",
    r"\p{Greek}", r"\p{Elvish}", "[[:alpha:]]", "[[:omega:]]", r"\z", r"\Z", "(?x)a", "(?iU)a", r"\x{41}", r"\cA", "a)",
    "[z-a]", r"[a-\d]", "x{,3}", "x{2}{3}", "\\", "(?:", r"\_", "a???", "^*", "(?i)+", "((a))*", r"\8", "[^]",
)  # fmt: skip


def joined(band: Band, member: str, pattern: str, **fields: Any) -> Any:
    """Join by an expression alone."""
    return band.join(member, subscribed_topic_names=None, subscribed_topic_regex=pattern, **fields)


@question
def expressions_that_are_none(asker: Asker) -> Any:
    """RE2's language is taken, and nothing else."""
    band = Band(asker)
    answers = []
    for pattern in EXPRESSIONS:
        answers.append((pattern, joined(band, "a", pattern)["error_code"]))
        if answers[-1][1] == 0:
            band.leave("a")
    return answers, band.described()["group_state"]


@question
def an_expression_chooses_topics(asker: Asker) -> Any:
    """Its topics are known with the next heartbeat; other members of the same mind have them at once."""
    one, two = asker.topic(2), asker.topic(1)
    pattern = one[: one.rindex("-")] + "-[0-9]"
    band = Band(asker)
    answers = [joined(band, "a", pattern)]
    eventually(lambda: band.described()["epochs"][0] > 1)
    answers += [band.described(), band.beat("a"), band.beat("a"), band.described()]
    answers += [joined(band, "b", pattern), band.described()["epochs"]]
    told = band.beat("a", {one: [0, 1], two: [0]})
    answers += [told["member_epoch"], sum(map(len, told["assignment"].values())), band.described()["epochs"]]
    sizes = sorted(sum(map(len, parts.values())) for parts in band.settle("a", "b"))
    answers += [sizes, band.leave("a"), band.described()["epochs"], *band.settle("b")]
    answers += [band.beat("b", subscribed_topic_regex="("), band.beat("b", subscribed_topic_regex="")]
    answers += [band.described(), band.beat("b", {}), band.described()]
    answers += [band.beat("b", subscribed_topic_names=[one]), band.described()]
    return answers


@question
def names_beside_an_expression(asker: Asker) -> Any:
    """Both count together; version 0 has no expressions."""
    one, two = asker.topic(1), asker.topic(1)
    band = Band(asker)
    answers = [band.join("a", one, subscribed_topic_regex=two.replace(".", r"\."))]
    eventually(lambda: band.described()["epochs"][0] > 2)
    answers += [band.beat("a"), band.described(), band.described(0)]
    request = ConsumerGroupHeartbeatRequest(
        group_id=band.id, member_id="a", member_epoch=band.epochs["a"], subscribed_topic_names=[]
    )
    answers += [band.told(asker.ask(request, 0)), band.described(), band.beat("a", {}), band.described()]
    return answers


@question
def an_expression_without_topics(asker: Asker) -> Any:
    """A group may wait for topics that match."""
    band = Band(asker)
    answers = [joined(band, "a", "no-such-topic.*"), band.beat("a"), band.described()]
    answers += [band.join("b", "none"), band.described(), band.leave("a"), band.described()]
    return answers
