"""The page of options, `docs/options.md`, says what the config classes say.

`python tests/surface/test_options_page.py` writes it anew.
"""

import ast
import dataclasses
import inspect
from collections.abc import Iterator
from pathlib import Path

from felice.config import ClientConfig, ConsumerConfig, ProducerConfig
from felice.config.producer import BY_TOPIC

PAGE = Path(__file__).parents[2] / "docs" / "options.md"

HEAD = """# Options

Given by name to a client, or as `config=ProducerConfig(...)` and the like; a wrong name or value is refused there, and
the right ones are named. Times are in seconds, sizes in bytes. Under each name stands what Kafka's own clients call it,
and under each default what else may be given.

This page is made from the config classes by `tests/surface/test_options_page.py`.
"""

SECTIONS = {
    "Every client": (ClientConfig, "These are options of producers and consumers."),
    "Producers": (
        ProducerConfig,
        "By `topics` some topics may have other values for\n" + ", ".join(f"`{name}`" for name in BY_TOPIC) + ".",
    ),
    "Consumers": (ConsumerConfig, "Where reading begins is no option but the argument `start` of the consumer."),
}


def meanings(config: type) -> dict[str, str]:
    """The texts that stand under the fields of a class."""
    (declared,) = ast.parse(inspect.getsource(config)).body
    assert isinstance(declared, ast.ClassDef)
    found = {}
    for field, text in zip(declared.body, declared.body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(text, ast.Expr):
            assert isinstance(field.target, ast.Name)
            found[field.target.id] = " ".join(ast.literal_eval(text.value).split())
    return found


def number(value: float) -> str:
    """A number as people write it: in powers of two where it is one."""
    if isinstance(value, int):
        for power, unit in ((30, "GiB"), (20, "MiB"), (10, "KiB")):
            if value >= 1 << power and value % (1 << power) == 0:
                return f"{value >> power} {unit}"
        if value >= 1 << 30 and (value + 1) & value == 0:
            return f"2^{value.bit_length()} - 1"
    return f"{value:,}" if isinstance(value, int) else f"{value:g}"


def bounds(field: "dataclasses.Field[object]") -> str:
    """What values an option may have."""
    about = field.metadata
    choices = about.get("choices", ())
    if len(choices) > 1:
        return " or ".join(f"`{choice!r}`" for choice in choices)
    if isinstance(field.default, bool):
        return "`True` or `False`"
    low, high, unit = about.get("low"), about.get("high"), about.get("unit", "")
    if low is None:
        return ""
    span = f"{number(low)} to {number(high)}" if high is not None else f"from {number(low)} on"
    return f"{unit}, {span}" if unit else span


def default(field: "dataclasses.Field[object]") -> str:
    """What an option is when it is not given."""
    if field.default is dataclasses.MISSING:
        return "`{}`"
    if isinstance(field.default, int | float) and not isinstance(field.default, bool):
        return number(field.default)
    return f"`{field.default!r}`"


def lines() -> Iterator[str]:
    """Yield the page, a line a line."""
    yield from HEAD.splitlines()
    for title, (config, text) in SECTIONS.items():
        own = meanings(config)
        yield from (
            "",
            f"## {title}",
            "",
            *text.splitlines(),
            "",
            "| option | default | meaning |",
            "| --- | --- | --- |",
        )
        for field in dataclasses.fields(config):
            if field.name in own:
                meaning, _, key = own[field.name].partition(" Kafka: ")
                key = key.rstrip(".") or (f"`{field.metadata['kafka']}`" if field.metadata.get("kafka") else "")
                name = " <br> ".join(filter(None, (f"`{field.name}`", key)))
                value = " <br> ".join(filter(None, (default(field), bounds(field))))
                yield f"| {name} | {value} | {meaning} |"


def test_the_page_of_options_is_current() -> None:
    """Each option with its default, its bounds, Kafka's own key and its meaning."""
    assert list(lines()) == PAGE.read_text().splitlines()


def test_every_option_is_explained() -> None:
    for config, _ in SECTIONS.values():
        assert set(meanings(config)) == set(vars(config)["__annotations__"])


if __name__ == "__main__":
    PAGE.write_text("\n".join(lines()) + "\n")
