"""Questions about Metadata."""

from typing import Any

from asking import Asker, comparable
from felice.wire.messages.metadata import MetadataRequest
from questions.asked import question


def metadata(asker: Asker, *names: str | None, version: int = 12, ids: tuple[bytes, ...] = (), **options: Any) -> Any:
    """Ask for topics by name and by ID."""
    topics = [MetadataRequest.Topic(name=name) for name in names]
    topics += [MetadataRequest.Topic(name=None, topic_id=topic_id) for topic_id in ids]
    return comparable(asker.ask(MetadataRequest(topics=topics, **options), version))


@question
def metadata_in_all_versions(asker: Asker) -> Any:
    """A topic looks the same in every version."""
    name = asker.topic(3)
    return [metadata(asker, name, version=version) for version in range(14)]


@question
def metadata_of_strange_topics(asker: Asker) -> Any:
    """Names that no topic has, or can have."""
    names = ["nobody-has-this", "", ".", "..", "a" * 249, "a" * 250, "wrong name", "wrong/name", "__consumer_offset"]
    return [metadata(asker, name, version=version) for name in names for version in (0, 4, 13)]


@question
def metadata_of_no_topics(asker: Asker) -> Any:
    """An empty list means none."""
    return [metadata(asker, version=version) for version in (1, 9, 13)]


@question
def metadata_by_id(asker: Asker) -> Any:
    """Topics by ID: one that there is, and one that there is not."""
    name = asker.topic(2)
    return [metadata(asker, ids=(asker.topic_ids[name],)), metadata(asker, ids=(b"\1" * 16,), version=13)]


@question
def metadata_by_id_before_its_time(asker: Asker) -> Any:
    """Versions 10 and 11 have the field for IDs, but it means nothing there."""
    return [metadata(asker, ids=(b"\1" * 16,), version=version) for version in (10, 11)]


@question
def metadata_with_operations(asker: Asker) -> Any:
    """What one may do, where nobody keeps anybody out."""
    name = asker.topic()
    return [
        metadata(asker, name, version=9, include_topic_authorized_operations=True),
        metadata(asker, name, version=9, include_cluster_authorized_operations=True),
    ]


@question
def metadata_of_a_topic_named_twice(asker: Asker) -> Any:
    """A name that comes twice is answered once."""
    name = asker.topic()
    return metadata(asker, name, name)
