"""The message definitions inside Kafka's own client jar, and their translation into our notation."""

import json
import re
import zipfile
from pathlib import Path
from typing import Any

from felice.wire import schema
from felice.wire.schema import Message, Struct

Definition = dict[str, Any]

TYPES = {"bool": "boolean", "bytes": "binary"}
"""Kafka's names of the types that our notation calls otherwise."""


def read_definitions(*jars: Path) -> dict[str, Definition]:
    """All definitions of messages in these jars that have a valid version, by name."""
    found = {}
    for jar in jars:
        with zipfile.ZipFile(jar) as archive:
            for entry in archive.namelist():
                if entry.startswith("common/message/") and entry.endswith(".json"):
                    lines = archive.read(entry).decode().splitlines()
                    plain = "\n".join(line for line in lines if not line.lstrip().startswith("//"))
                    definition = json.loads(re.sub(r"\s//[^\"]*$", "", plain, flags=re.MULTILINE))
                    if definition["validVersions"] != "none":
                        found[definition["name"]] = definition
    return found


def snake(name: str) -> str:
    """Turn Kafka's name of a field into ours."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def span(text: str | None, within: range) -> set[int]:
    """The versions of a range in Kafka's writing, as far as they are valid."""
    match = re.fullmatch(r"(\d+)(\+|-(\d+))?", text or "none")
    if match is None:
        return set()
    high = within.stop - 1 if match[2] == "+" else int(match[3] or match[1])
    return {version for version in within if int(match[1]) <= version <= high}


def stable(name: str, definitions: dict[str, Definition]) -> range:
    """The valid versions of a message, without a last one that is marked unstable (on the request)."""
    definition = definitions[name]
    low, _, high = definition["validVersions"].partition("-")
    request = definitions.get(name.replace("Response", "Request"), definition)
    return range(int(low), int(high or low) + 1 - bool(request.get("latestVersionUnstable")))


def versions_of(field: Definition) -> str:
    """The versions that have a field, in Kafka's writing; where only those are told that tag it, they are all."""
    found: str = field.get("versions") or field["taggedVersions"]
    return found


def default_of(field: Definition) -> object:
    """What Kafka takes for a field that is not there; `...` for a struct with all its defaults."""
    kind, text = field["type"], field.get("default")
    if text == "null":  # a bare null, in contrast, says nothing
        return None
    if kind.startswith("[]"):
        return ()
    if kind == "bool":
        return str(text) == "true"
    if kind in ("string", "bytes", "uuid"):
        return {"string": text or "", "bytes": b"", "uuid": bytes(16)}[kind]
    if kind == "records":  # Kafka's default is always null, which it cannot write where records are not nullable
        return None if field["versions"] == field.get("nullableVersions") else b""
    if kind == "float64":
        return float(text or 0)
    return int(str(text or 0), 0) if re.fullmatch(r"u?int\d+", kind) else ...


def structs_of(definition: Definition) -> dict[str, list[Definition]]:
    """The fields of the structs that are declared beside the message, by name."""
    return {common["name"]: common["fields"] for common in definition.get("commonStructs", [])}


def translate(definition: Definition) -> type[Message]:
    """Write a definition down in our notation, by program."""
    common = structs_of(definition)

    def body(fields: list[Definition]) -> dict[str, Any]:
        return {snake(field["name"]): translated(field) for field in fields}

    def translated(field: Definition) -> Any:
        kind = field["type"].removeprefix("[]")
        inner = field.get("fields") or common.get(kind)
        options: dict[str, Any] = {
            "nullable": field.get("nullableVersions", "none"),
            "ignorable": field.get("ignorable", False),
            "tag": field.get("tag"),
            "tagged": field.get("taggedVersions"),
        }
        default = default_of(field)
        if inner is not None:
            of = type(Struct)(kind, (Struct,), body(inner))
            make = schema.array if field["type"].startswith("[]") else schema.struct
            return make(of, versions_of(field), default=default, **options)
        make = getattr(schema, TYPES.get(kind, kind))
        if field["type"].startswith("[]"):
            return schema.array(make, versions_of(field), default=default, **options)
        return make(versions_of(field), default=default, flexible=field.get("flexibleVersions"), **options)

    options = {"versions": definition["validVersions"], "flexible": definition["flexibleVersions"]}
    return type(Message)(definition["name"], (Message,), body(definition["fields"]), **options)
