"""The library that Kafka matches topics with, RE2/J, judges our reading of its expressions."""

import random
import re
import subprocess
from pathlib import Path

import pytest

from felice.broker.groups.topic_patterns import topic_pattern
from felice.broker.refusal import Refused

JUDGE = Path(__file__).with_name("JudgePatterns.java")

NAMES = [
    *"abnxA-_.0",
    *re.findall(r"\S+", "aa aaa a.b a-b a_b Qabc aAbB1 topic-1 .. ab abc abcabc xx a1 orders.eu orders-eu"),
]

KNOWN = [
    "a{2,1}", "(?<n>a)", "(?P<n>a)(?P<n>b)", "(?=a)", "(?!a)", "(?<=a)", r"(a)\1", "a++", "(?>a)", "[a", "[]", "a**",
    "*a", "a{1001}", "a{1000}", r"\Qa.b\E", r"\Qa", r"\pL", r"\p{Greek}", r"\p{^Latin}+", r"\P{Lu}+", r"\p{Elvish}",
    "[[:alpha:]]+", "[[:^alpha:]]", "[[:omega:]]", r"a\z", r"\Aa", r"a\Z", r"\Ga", "(?i)a", "(?x)a", "(?U)a*",
    r"\x{41}", r"\x4", r"\u0041", r"\cA", "a|*", "a)", "(?:a", "\\", "[z-a]", r"[a-\d]", "x{", "x{,3}", "x{2}{3}",
    "(?i:A)b", "(?-s:.)", r"\ba\b", r"\Ba", "(?P=n)", r"[\b]", r"\_", "a???", "^*a", r"\101", r"\8", r"\d|\D\S|\W|\w",
    "(?m)^a$", "[^]", "((((", "(|a)*", "(a|b|)", r"\x{110000}", "(?P<>a)", "(?", r"\p", r"\p{L", "[--a]", "[a-b-c]",
    r"[\Qab\E]", r"orders[.-]eu", r"orders\..*", ".*", "", "(?i)(?-i)A", "a{0}", "(?i)+", "a(?i)+", "[[=a=]]", "$a",
]  # fmt: skip

PARTS = [
    "a", "b", ".", "*", "+", "?", "|", "(", ")", "[", "]", "^", "$", "\\", "{2}", "{1,2}", "-", r"\d", r"\w", "(?:",
    "(?i)", r"\Q", r"\E", "A", "1", "(?i:", "[^", "[a-", r"\b", r"\pL", "[[:alpha:]]", ":", r"\.",
]  # fmt: skip


def ours(text: str) -> str:
    """Which names match, as the judge tells it."""
    try:
        matches = topic_pattern(text)
    except Refused:
        return "none"
    return "".join(str(int(matches(name))) for name in NAMES)


@pytest.mark.parametrize("seed", [None, 848], ids=["known", "generated"])
def test_expressions_mean_what_they_mean_to_kafka(kafka_libs: Path, seed: int | None) -> None:
    """The same ones are none, and the others match the same names: known ones, and random ones."""
    chance = random.Random(seed)
    expressions = KNOWN if seed is None else [_made(chance) for _ in range(4000)]
    told = subprocess.run(
        ["java", "-Xshare:auto", "-XX:TieredStopAtLevel=1", "-cp", f"{kafka_libs}/*", str(JUDGE)],
        input="\n".join([" ".join(NAMES), *expressions, ""]),
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=100,
    )
    assert told.returncode == 0, told.stderr
    answers = told.stdout.splitlines()
    assert len(answers) == len(expressions)
    wrong = [(text, answer) for text, answer in zip(expressions, answers, strict=True) if ours(text) != answer]
    assert not wrong


def _made(chance: random.Random) -> str:
    """Some parts, one behind the other."""
    return "".join(chance.choice(PARTS) for _ in range(chance.randrange(1, 8)))
