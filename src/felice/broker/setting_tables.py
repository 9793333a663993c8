"""The configuration keys of topics and brokers: Kafka 4.3's names, types, defaults and limits.

All of a topic's keys are taken, checked, kept and described. Those that act here are `cleanup.policy` (as a check),
`compression.*`, `max.message.bytes`, `message.timestamp.*`, `min.insync.replicas` and `segment.bytes` (as the largest
record set); nothing is expired or compacted. Of the broker's keys there are the ones that act here, and the ones that
topics inherit.
"""

from collections.abc import Iterator, Mapping
from typing import Final

from felice.broker.setting import Kind, Setting, Settings

__all__ = ["BROKER_SETTINGS", "TOPIC_SETTINGS"]

BOOLEAN, STRING, INT, SHORT, LONG, DOUBLE, LIST = Kind
MAX_LONG: Final = str((1 << 63) - 1)
WEEK: Final = "604800000"
CODECS: Final = ("uncompressed", "zstd", "lz4", "snappy", "gzip", "producer")
TIMESTAMPS: Final = ("CreateTime", "LogAppendTime")

_TOPIC = (
    Setting("cleanup.policy", LIST, "delete", "What happens to old records.", "log.cleanup.policy",
            one_of=("compact", "delete")),
    Setting("compression.gzip.level", INT, "-1", "Level where the broker compresses with gzip.",
            "compression.gzip.level", low=1, high=9, also=("-1",)),
    Setting("compression.lz4.level", INT, "9", "Level where the broker compresses with lz4.",
            "compression.lz4.level", low=1, high=17),
    Setting("compression.type", STRING, "producer", "The codec batches are kept in; `producer` keeps each as it came.",
            "compression.type", one_of=CODECS),
    Setting("compression.zstd.level", INT, "3", "Level where the broker compresses with zstd.",
            "compression.zstd.level", low=-131072, high=22),
    Setting("delete.retention.ms", LONG, "86400000", "How long a compacted topic keeps tombstones.",
            "log.cleaner.delete.retention.ms", low=0),
    Setting("file.delete.delay.ms", LONG, "60000", "Time between deciding to delete a file and deleting it.",
            "log.segment.delete.delay.ms", low=0),
    Setting("flush.messages", LONG, MAX_LONG, "Records after which the log is forced to disk.",
            "log.flush.interval.messages", low=1),
    Setting("flush.ms", LONG, MAX_LONG, "Time after which the log is forced to disk.", "log.flush.interval.ms", low=0),
    Setting("follower.replication.throttled.replicas", LIST, "", "Replicas whose fetching is throttled."),
    Setting("index.interval.bytes", INT, "4096", "Bytes of log between two index entries.",
            "log.index.interval.bytes", low=0),
    Setting("leader.replication.throttled.replicas", LIST, "", "Replicas whose leaders are throttled."),
    Setting("local.retention.bytes", LONG, "-2", "Bytes kept here of a log that is also stored remotely.",
            "log.local.retention.bytes", low=-2),
    Setting("local.retention.ms", LONG, "-2", "Time a log that is also stored remotely is kept here.",
            "log.local.retention.ms", low=-2),
    Setting("max.compaction.lag.ms", LONG, MAX_LONG, "Longest time a record may go uncompacted.",
            "log.cleaner.max.compaction.lag.ms", low=1),
    Setting("max.message.bytes", INT, "1048588", "Largest record batch, in bytes as sent.", "message.max.bytes", low=0),
    Setting("message.timestamp.after.max.ms", LONG, "3600000", "How far ahead of the clock a timestamp may be.",
            "log.message.timestamp.after.max.ms", low=0),
    Setting("message.timestamp.before.max.ms", LONG, MAX_LONG, "How far behind the clock a timestamp may be.",
            "log.message.timestamp.before.max.ms", low=0),
    Setting("message.timestamp.type", STRING, "CreateTime", "Who stamps records: their producer, or the broker.",
            "log.message.timestamp.type", one_of=TIMESTAMPS),
    Setting("min.cleanable.dirty.ratio", DOUBLE, "0.5", "Uncompacted share of a log that makes it worth compacting.",
            "log.cleaner.min.cleanable.ratio", low=0, high=1),
    Setting("min.compaction.lag.ms", LONG, "0", "Shortest time a record stays uncompacted.",
            "log.cleaner.min.compaction.lag.ms", low=0),
    Setting("min.insync.replicas", INT, "1", "Replicas that must be in sync for acks=all.",
            "min.insync.replicas", low=1),
    Setting("preallocate", BOOLEAN, "false", "Whether files are made at full size.", "log.preallocate"),
    Setting("remote.log.copy.disable", BOOLEAN, "false", "Whether tiered data becomes read-only."),
    Setting("remote.log.delete.on.disable", BOOLEAN, "false", "Whether tiered data goes when tiering is switched off."),
    Setting("remote.storage.enable", BOOLEAN, "false", "Whether the log is also stored remotely."),
    Setting("retention.bytes", LONG, "-1", "Bytes of log that are kept; -1 for all.", "log.retention.bytes"),
    Setting("retention.ms", LONG, WEEK, "Time that records are kept; -1 for ever.", "log.retention.ms", low=-1),
    Setting("segment.bytes", INT, "1073741824", "Bytes in one file of the log.", "log.segment.bytes", low=1048576),
    Setting("segment.index.bytes", INT, "10485760", "Bytes of one index.", "log.index.size.max.bytes", low=4),
    Setting("segment.jitter.ms", LONG, "0", "Random time taken off `segment.ms`.", "log.roll.jitter.ms", low=0),
    Setting("segment.ms", LONG, WEEK, "Time after which a new file is begun.", "log.roll.ms", low=1),
    Setting("unclean.leader.election.enable", BOOLEAN, "false", "Whether a replica that lags may become leader.",
            "unclean.leader.election.enable"),
)  # fmt: skip

_BROKER = (
    Setting("auto.create.topics.enable", BOOLEAN, "true", "Whether asking for a topic's metadata may create it."),
    Setting("default.replication.factor", INT, "1", "Replicas of a topic that names no number.", low=1),
    Setting("delete.topic.enable", BOOLEAN, "true", "Whether topics can be deleted."),
    Setting("group.initial.rebalance.delay.ms", INT, "3000", "How long an empty group waits for more members.", low=0),
    Setting("group.max.session.timeout.ms", INT, "1800000", "Longest session timeout of a classic group's member."),
    Setting("group.max.size", INT, "2147483647", "Most members of a classic group.", low=1),
    Setting("group.min.session.timeout.ms", INT, "6000", "Shortest session timeout of a classic group's member."),
    Setting("offset.metadata.max.bytes", INT, "4096", "Longest metadata of a committed offset."),
    Setting("offsets.retention.check.interval.ms", LONG, "600000", "Time between two looks for old offsets.", low=1),
    Setting("offsets.retention.minutes", INT, "10080", "How long offsets of a group that is not used are kept.", low=1),
    Setting("offsets.topic.num.partitions", INT, "50", "Partitions of the topic of committed offsets.", low=1),
    Setting("offsets.topic.replication.factor", SHORT, "3", "Replicas of that topic, at most one a node.", low=1),
    Setting("offsets.topic.segment.bytes", INT, "104857600", "Bytes in one file of that topic.", low=1048576),
    Setting("share.coordinator.state.topic.num.partitions", INT, "50", "Partitions of share groups' state.", low=1),
    Setting("share.coordinator.state.topic.replication.factor", SHORT, "3", "Replicas of that topic.", low=1),
    Setting("share.coordinator.state.topic.segment.bytes", INT, "104857600", "Bytes in one file of that topic.",
            low=1048576),
    Setting("transaction.state.log.num.partitions", INT, "50", "Partitions of the topic of transactions.", low=1),
    Setting("transaction.state.log.replication.factor", SHORT, "3", "Replicas of that topic.", low=1),
    Setting("transaction.state.log.segment.bytes", INT, "104857600", "Bytes in one file of that topic.", low=1048576),
    Setting("fetch.max.bytes", INT, "57671680", "Most bytes of records in one answer to Fetch.", low=1024),
    Setting("max.incremental.fetch.session.cache.slots", INT, "1000", "Fetch sessions kept by a node.", low=0),
    Setting("num.partitions", INT, "1", "Partitions of a topic that names no number.", low=1),
    Setting("socket.request.max.bytes", INT, "104857600", "Largest request in bytes.", low=1),
    Setting("transaction.max.timeout.ms", INT, "900000", "Longest timeout a transaction may ask for.", low=1),
)  # fmt: skip

UNSET: Final = frozenset({"log.flush.interval.ms", "log.retention.ms", "log.roll.jitter.ms", "log.roll.ms"})
"""The broker's keys that another one, in hours or of a scheduler, stands for unless they are set."""


def _inherited() -> Iterator[Setting]:
    """Give the broker's keys that topics take their defaults from."""
    for topic in _TOPIC:
        if topic.broker_name is not None:
            default = None if topic.broker_name in UNSET else topic.default
            yield Setting(
                topic.broker_name, topic.kind, default, topic.about,
                low=topic.low, high=topic.high, one_of=topic.one_of, also=topic.also,
            )  # fmt: skip


TOPIC_SETTINGS: Mapping[str, Setting] = Settings.table(_TOPIC)
"""A topic's keys by name."""

BROKER_SETTINGS: Mapping[str, Setting] = Settings.table((*_BROKER, *_inherited()))
"""A broker's keys by name."""
