"""The configuration keys of topics and brokers: Kafka 4.3's names, types, defaults and limits.

All of a topic's keys are taken, checked, kept and described. Those that act here are `cleanup.policy`,
`compression.*`, `delete.retention.ms`, `max.message.bytes`, `message.timestamp.*`, `min.cleanable.dirty.ratio`,
`*.compaction.lag.ms`, `min.insync.replicas`, `retention.*`, `segment.bytes` and `segment.ms`. The broker's keys stand
in `broker_keys`; here is what those do that act.
"""

from collections.abc import Mapping
from typing import Final

from felice.broker.broker_keys import broker_keys
from felice.broker.setting import Kind, Setting, Settings

__all__ = ["BROKER_SETTINGS", "CLIENT_METRICS_SETTINGS", "GROUP_SETTINGS", "TOPIC_SETTINGS"]

BOOLEAN, STRING, INT, LONG, DOUBLE, LIST = Kind.BOOLEAN, Kind.STRING, Kind.INT, Kind.LONG, Kind.DOUBLE, Kind.LIST
MAX_LONG: Final = str((1 << 63) - 1)
WEEK: Final = "604800000"
CODECS: Final = ("uncompressed", "zstd", "lz4", "snappy", "gzip", "producer")
TIMESTAMPS: Final = ("CreateTime", "LogAppendTime")
REPLICA: Final = r"\d+:\d+"
"""A partition and a node."""

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
    Setting("follower.replication.throttled.replicas", LIST, "", "Replicas whose fetching is throttled.",
            shape=REPLICA, also=("*",)),
    Setting("index.interval.bytes", INT, "4096", "Bytes of log between two index entries.",
            "log.index.interval.bytes", low=0),
    Setting("leader.replication.throttled.replicas", LIST, "", "Replicas whose leaders are throttled.",
            shape=REPLICA, also=("*",)),
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

_ACTING: Final = {
    "allow.everyone.if.no.acl.found": "Whether everybody may do what no access control entry speaks of.",
    "authorizer.class.name": "Whether access control entries are obeyed: where there is any name.",
    "auto.create.topics.enable": "Whether asking for a topic's metadata may create it.",
    "default.replication.factor": "Replicas of a topic that names no number.",
    "delete.topic.enable": "Whether topics can be deleted.",
    "fetch.max.bytes": "Most bytes of records in one answer to Fetch.",
    "group.initial.rebalance.delay.ms": "How long an empty group waits for more members.",
    "group.max.session.timeout.ms": "Longest session timeout of a classic group's member.",
    "group.max.size": "Most members of a classic group.",
    "group.min.session.timeout.ms": "Shortest session timeout of a classic group's member.",
    "log.cleaner.backoff.ms": "Shortest time between two rounds of compaction.",
    "log.cleaner.enable": "Whether logs are compacted.",
    "log.retention.check.interval.ms": "Shortest time between two looks for records that are too old.",
    "max.incremental.fetch.session.cache.slots": "Fetch sessions kept by a node.",
    "num.partitions": "Partitions of a topic that names no number.",
    "offset.metadata.max.bytes": "Longest metadata of a committed offset.",
    "offsets.commit.timeout.ms": "How long a group's answer waits until all replicas in sync have what was written.",
    "offsets.retention.check.interval.ms": "Time between two looks for old offsets.",
    "offsets.retention.minutes": "How long offsets of a group that is not used are kept.",
    "offsets.topic.num.partitions": "Partitions of the topic of committed offsets.",
    "offsets.topic.replication.factor": "Replicas of that topic, at most one a node.",
    "offsets.topic.segment.bytes": "Bytes in one file of that topic.",
    "share.coordinator.state.topic.min.isr": "Replicas of that topic that must be in sync.",
    "share.coordinator.snapshot.update.records.per.snapshot": "Updates of a share group's state between two snapshots.",
    "share.coordinator.state.topic.num.partitions": "Partitions of share groups' state.",
    "share.coordinator.state.topic.replication.factor": "Replicas of that topic.",
    "share.coordinator.state.topic.segment.bytes": "Bytes in one file of that topic.",
    "producer.id.expiration.ms": "How long a partition remembers a producer that is silent.",
    "socket.request.max.bytes": "Largest request in bytes.",
    "super.users": "Who may do everything, with semicolons between them; everybody here is `User:ANONYMOUS`.",
    "transaction.abort.timed.out.transaction.cleanup.interval.ms": "When a late transaction is looked at again.",
    "transaction.max.timeout.ms": "Longest timeout a transaction may ask for.",
    "transactional.id.expiration.ms": "How long a transactional ID that is not used is kept.",
    "transaction.remove.expired.transaction.cleanup.interval.ms": "When an unused transactional ID is looked at again.",
    "transaction.state.log.min.isr": "Replicas of the topic of transactions that must be in sync.",
    "transaction.state.log.num.partitions": "Partitions of the topic of transactions.",
    "transaction.state.log.replication.factor": "Replicas of that topic.",
    "transaction.state.log.segment.bytes": "Bytes in one file of that topic.",
}
"""What the broker's keys do that act here, besides those that topics inherit."""

_GROUP = (
    Setting("consumer.assignment.interval.ms", INT, "1000", "Shortest time between two assignments.",
            "group.consumer.assignment.interval.ms", low=0),
    Setting("consumer.heartbeat.interval.ms", INT, "5000", "How often members of a consumer group report.",
            "group.consumer.heartbeat.interval.ms", low=1),
    Setting("consumer.session.timeout.ms", INT, "45000", "How long a silent member of a consumer group is kept.",
            "group.consumer.session.timeout.ms", low=1),
    Setting("share.assignment.interval.ms", INT, "1000", "Shortest time between two assignments.",
            "group.share.assignment.interval.ms", low=0),
    Setting("share.auto.offset.reset", STRING, "latest", "Where a share group begins to read.",
            shape=r"latest|earliest|by_duration:-?P(?=.).*"),
    Setting("share.delivery.count.limit", INT, "5", "How often a record is delivered at most.",
            "group.share.delivery.count.limit", low=2),
    Setting("share.heartbeat.interval.ms", INT, "5000", "How often members of a share group report.",
            "group.share.heartbeat.interval.ms", low=1),
    Setting("share.isolation.level", STRING, "read_uncommitted", "Whether records of open transactions are read.",
            one_of=("read_committed", "read_uncommitted")),
    Setting("share.partition.max.record.locks", INT, "2000", "Most records of a partition that are delivered at once.",
            "group.share.partition.max.record.locks", low=100),
    Setting("share.record.lock.duration.ms", INT, "30000", "How long a delivered record is locked.",
            "group.share.record.lock.duration.ms", low=1000),
    Setting("share.renew.acknowledge.enable", BOOLEAN, "true", "Whether a lock may be prolonged."),
    Setting("share.session.timeout.ms", INT, "45000", "How long a silent member of a share group is kept.",
            "group.share.session.timeout.ms", low=1),
    Setting("streams.assignment.interval.ms", INT, "1000", "Shortest time between two assignments.",
            "group.streams.assignment.interval.ms", low=0),
    Setting("streams.heartbeat.interval.ms", INT, "5000", "How often members of a streams group report.",
            "group.streams.heartbeat.interval.ms", low=1),
    Setting("streams.initial.rebalance.delay.ms", INT, "3000", "How long an empty streams group waits for others.",
            "group.streams.initial.rebalance.delay.ms", low=0),
    Setting("streams.num.standby.replicas", INT, "0", "Standby copies of a task.",
            "group.streams.num.standby.replicas", low=0),
    Setting("streams.session.timeout.ms", INT, "45000", "How long a silent member of a streams group is kept.",
            "group.streams.session.timeout.ms", low=1),
)  # fmt: skip

_CLIENT_METRICS = (
    Setting("interval.ms", INT, "300000", "How often clients send their metrics.", low=100, high=3600000),
    Setting("match", LIST, "", "Which clients are meant: pairs of a property and a regular expression."),
    Setting("metrics", LIST, "", "Prefixes of the metrics that are wanted; empty for none, `*` for all."),
)

TOPIC_SETTINGS: Mapping[str, Setting] = Settings.table(_TOPIC)
"""A topic's keys by name."""

_INHERITED = {topic.broker_name: topic.about for topic in _TOPIC if topic.broker_name is not None}

BROKER_SETTINGS: Mapping[str, Setting] = Settings.table(broker_keys(_INHERITED | _ACTING))
"""A broker's keys by name: all that Kafka has."""

GROUP_SETTINGS: Mapping[str, Setting] = Settings.table(_GROUP)
"""The keys of groups by name (KIP-848, KIP-932, KIP-1071)."""

CLIENT_METRICS_SETTINGS: Mapping[str, Setting] = Settings.table(_CLIENT_METRICS)
"""The keys of a subscription to clients' metrics by name (KIP-714)."""
