"""Every configuration key that a broker of Kafka 4.3 has: facts, one key a line.

The columns are its name, its type, its default (`null` for none, `""` for an empty text or list), whether it can be
changed while a broker runs (`fixed`, `broker` for each broker by itself, `cluster` also for all), and what it may hold:
a range of numbers (`|-1` where that is right besides), or the words to choose from, after `~` in upper or lower case.
"""

from collections.abc import Iterator
from typing import Final

from felice.broker.setting import Kind, Mode, Setting

__all__ = ["broker_keys"]

NOTHING_HERE: Final = "Kept and described; nothing in this broker depends on it."

SHAPES: Final = {"max.connections.per.ip.overrides": r"(?:[^,]*:\d+(?:,[^,]*:\d+)*)?"}
"""What texts must look like."""

_KEYS: Final = """
add.partitions.to.txn.retry.backoff.max.ms int 100 fixed 0..
add.partitions.to.txn.retry.backoff.ms int 20 fixed 1..
advertised.listeners list null fixed
allow.everyone.if.no.acl.found unknown null fixed
alter.config.policy.class.name class null fixed
alter.log.dirs.replication.quota.window.num int 11 fixed 1..
alter.log.dirs.replication.quota.window.size.seconds int 1 fixed 1..
authorizer.class.name string "" fixed
auto.create.topics.enable boolean true fixed
auto.leader.rebalance.enable boolean true fixed
background.threads int 10 cluster 1..
broker.heartbeat.interval.ms int 2000 fixed
broker.id int -1 fixed
broker.rack string null fixed
broker.session.timeout.ms int 9000 fixed
client.quota.callback.class class null fixed
compression.gzip.level int -1 cluster 1..9|-1
compression.lz4.level int 9 cluster 1..17
compression.type string producer cluster uncompressed|zstd|lz4|snappy|gzip|producer
compression.zstd.level int 3 cluster -131072..22
config.providers list "" cluster
connection.failed.authentication.delay.ms int 100 fixed 0..
connections.max.idle.ms long 600000 fixed
connections.max.reauth.ms long 0 fixed
controlled.shutdown.enable boolean true fixed
controller.listener.names list null fixed
controller.quorum.append.linger.ms int 25 fixed 0..
controller.quorum.auto.join.enable boolean false fixed
controller.quorum.bootstrap.servers list "" fixed
controller.quorum.election.backoff.max.ms int 1000 fixed 0..
controller.quorum.election.timeout.ms int 1000 fixed 0..
controller.quorum.fetch.max.bytes int 1048576 fixed 1..
controller.quorum.fetch.snapshot.max.bytes int 1048576 fixed 1..
controller.quorum.fetch.timeout.ms int 2000 fixed 0..
controller.quorum.request.timeout.ms int 2000 fixed 0..
controller.quorum.retry.backoff.ms int 20 fixed 0..
controller.quorum.voters list "" fixed
controller.quota.window.num int 11 fixed 1..
controller.quota.window.size.seconds int 1 fixed 1..
controller.socket.timeout.ms int 30000 fixed
cordoned.log.dirs list "" broker
create.topic.policy.class.name class null fixed
default.replication.factor int 1 fixed
delegation.token.expiry.check.interval.ms long 3600000 fixed 1..
delegation.token.expiry.time.ms long 86400000 fixed 1..
delegation.token.max.lifetime.ms long 604800000 fixed 1..
delegation.token.secret.key password null fixed
delete.records.purgatory.purge.interval.requests int 1 fixed
delete.topic.enable boolean true fixed
early.start.listeners list null fixed
fetch.max.bytes int 57671680 fixed 1024..
fetch.purgatory.purge.interval.requests int 1000 fixed
follower.fetch.last.tiered.offset.enable boolean false cluster
follower.replication.throttled.rate long null cluster 0..
group.consumer.assignment.interval.ms int 1000 cluster 0..
group.consumer.assignors list uniform,range fixed
group.consumer.heartbeat.interval.ms int 5000 fixed 1..
group.consumer.max.assignment.interval.ms int 15000 fixed 0..
group.consumer.max.heartbeat.interval.ms int 15000 fixed 1..
group.consumer.max.session.timeout.ms int 60000 fixed 1..
group.consumer.max.size int 2147483647 fixed 1..
group.consumer.migration.policy string bidirectional fixed ~disabled|downgrade|upgrade|bidirectional
group.consumer.min.assignment.interval.ms int 0 fixed 0..
group.consumer.min.heartbeat.interval.ms int 5000 fixed 1..
group.consumer.min.session.timeout.ms int 45000 fixed 1..
group.consumer.session.timeout.ms int 45000 fixed 1..
group.coordinator.append.linger.ms int -1 fixed -1..
group.coordinator.background.threads int 2 fixed 1..
group.coordinator.cached.buffer.max.bytes int 1048588 cluster 524288..
group.coordinator.rebalance.protocols list classic,consumer,streams fixed consumer|classic|share|streams
group.coordinator.threads int 4 fixed 1..
group.initial.rebalance.delay.ms int 3000 fixed
group.max.session.timeout.ms int 1800000 fixed
group.max.size int 2147483647 fixed 1..
group.min.session.timeout.ms int 6000 fixed
group.share.assignment.interval.ms int 1000 cluster 0..
group.share.assignors list simple fixed
group.share.delivery.count.limit int 5 fixed 2..10
group.share.heartbeat.interval.ms int 5000 fixed 1..
group.share.max.assignment.interval.ms int 15000 fixed 0..
group.share.max.delivery.count.limit int 10 fixed 5..25
group.share.max.heartbeat.interval.ms int 15000 fixed 1..
group.share.max.partition.max.record.locks int 4000 fixed 2000..10000
group.share.max.record.lock.duration.ms int 60000 fixed 30000..3600000
group.share.max.session.timeout.ms int 60000 fixed 1..
group.share.max.share.sessions int 2000 fixed 1..
group.share.max.size int 200 fixed 1..1000
group.share.min.assignment.interval.ms int 0 fixed 0..
group.share.min.delivery.count.limit int 2 fixed 2..5
group.share.min.heartbeat.interval.ms int 5000 fixed 1..
group.share.min.partition.max.record.locks int 100 fixed 100..2000
group.share.min.record.lock.duration.ms int 15000 fixed 1000..30000
group.share.min.session.timeout.ms int 45000 fixed 1..
group.share.partition.max.record.locks int 2000 fixed 100..10000
group.share.record.lock.duration.ms int 30000 fixed 1000..3600000
group.share.session.timeout.ms int 45000 fixed 1..
group.streams.assignment.interval.ms int 1000 cluster 0..
group.streams.heartbeat.interval.ms int 5000 fixed 1..
group.streams.initial.rebalance.delay.ms int 3000 fixed 0..
group.streams.max.assignment.interval.ms int 15000 fixed 0..
group.streams.max.heartbeat.interval.ms int 15000 fixed 1..
group.streams.max.session.timeout.ms int 60000 fixed 1..
group.streams.max.size int 2147483647 fixed 1..
group.streams.max.standby.replicas int 2 fixed 0..
group.streams.min.assignment.interval.ms int 0 fixed 0..
group.streams.min.heartbeat.interval.ms int 5000 fixed 1..
group.streams.min.session.timeout.ms int 45000 fixed 1..
group.streams.num.standby.replicas int 0 fixed 0..
group.streams.session.timeout.ms int 45000 fixed 1..
initial.broker.registration.timeout.ms int 60000 fixed
inter.broker.listener.name string null fixed
kafka.metrics.polling.interval.secs int 10 fixed 1..
kafka.metrics.reporters list "" fixed
leader.imbalance.check.interval.seconds long 300 fixed 1..
leader.replication.throttled.rate long null cluster 0..
listener.security.protocol.map string SASL_SSL:SASL_SSL,PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_PLAINTEXT:SASL_PLAINTEXT broker
listeners list PLAINTEXT://:9092 broker
log.cleaner.backoff.ms long 15000 cluster 0..
log.cleaner.dedupe.buffer.size long 134217728 cluster
log.cleaner.delete.retention.ms long 86400000 cluster 0..
log.cleaner.enable boolean true fixed
log.cleaner.io.buffer.load.factor double 0.9 cluster
log.cleaner.io.buffer.size int 524288 cluster 0..
log.cleaner.io.max.bytes.per.second double 1.7976931348623157E308 cluster
log.cleaner.max.compaction.lag.ms long 9223372036854775807 cluster 1..
log.cleaner.min.cleanable.ratio double 0.5 cluster 0..1
log.cleaner.min.compaction.lag.ms long 0 cluster 0..
log.cleaner.threads int 1 cluster 0..
log.cleanup.policy list delete cluster compact|delete
log.dir list /tmp/kafka-logs fixed
log.dir.failure.timeout.ms long 30000 fixed 1..
log.dirs list null fixed
log.flush.interval.messages long 9223372036854775807 cluster 1..
log.flush.interval.ms long null cluster
log.flush.offset.checkpoint.interval.ms int 60000 fixed 0..
log.flush.scheduler.interval.ms long 9223372036854775807 fixed
log.flush.start.offset.checkpoint.interval.ms int 60000 fixed 0..
log.index.interval.bytes int 4096 cluster 0..
log.index.size.max.bytes int 10485760 cluster 4..
log.local.retention.bytes long -2 cluster -2..
log.local.retention.ms long -2 cluster -2..
log.message.timestamp.after.max.ms long 3600000 cluster 0..
log.message.timestamp.before.max.ms long 9223372036854775807 cluster 0..
log.message.timestamp.type string CreateTime cluster CreateTime|LogAppendTime
log.preallocate boolean false cluster
log.retention.bytes long -1 cluster
log.retention.check.interval.ms long 300000 fixed 1..
log.retention.hours int 168 fixed
log.retention.minutes int null fixed
log.retention.ms long null cluster
log.roll.hours int 168 fixed 1..
log.roll.jitter.hours int 0 fixed 0..
log.roll.jitter.ms long null cluster
log.roll.ms long null cluster
log.segment.bytes int 1073741824 cluster 1048576..
log.segment.delete.delay.ms long 60000 cluster 0..
max.connection.creation.rate int 2147483647 cluster 0..
max.connections int 2147483647 cluster 0..
max.connections.per.ip int 2147483647 cluster 0..
max.connections.per.ip.overrides string "" cluster
max.incremental.fetch.session.cache.slots int 1000 fixed 0..
max.request.partition.size.limit int 2000 fixed 1..
message.max.bytes int 1048588 cluster 0..
metadata.log.dir string null fixed
metadata.log.max.record.bytes.between.snapshots long 20971520 fixed 1..
metadata.log.max.snapshot.interval.ms long 3600000 fixed 0..
metadata.log.segment.bytes int 1073741824 fixed 8388608..
metadata.log.segment.ms long 604800000 fixed
metadata.max.idle.interval.ms int 500 fixed 0..
metadata.max.retention.bytes long 104857600 fixed
metadata.max.retention.ms long 604800000 fixed
metric.reporters list org.apache.kafka.common.metrics.JmxReporter cluster
metrics.num.samples int 2 fixed 1..
metrics.recording.level string INFO fixed
metrics.sample.window.ms long 30000 fixed 1..
min.insync.replicas int 1 cluster 1..
node.id int null fixed 0..
num.io.threads int 8 cluster 1..
num.network.threads int 3 cluster 1..
num.partitions int 1 fixed 1..
num.recovery.threads.per.data.dir int 2 cluster 1..
num.replica.alter.log.dirs.threads int null fixed
num.replica.fetchers int 1 cluster 1..
offset.metadata.max.bytes int 4096 fixed
offsets.commit.timeout.ms int 5000 fixed 1..
offsets.load.buffer.size int 5242880 fixed 1..
offsets.retention.check.interval.ms long 600000 fixed 1..
offsets.retention.minutes int 10080 fixed 1..
offsets.topic.compression.codec int 0 fixed
offsets.topic.num.partitions int 50 fixed 1..
offsets.topic.replication.factor short 3 fixed 1..
offsets.topic.segment.bytes int 104857600 fixed 1..
principal.builder.class class org.apache.kafka.common.security.authenticator.DefaultKafkaPrincipalBuilder broker
process.roles list null fixed broker|controller
producer.id.expiration.ms int 86400000 cluster 1..
producer.purgatory.purge.interval.requests int 1000 fixed
queued.max.request.bytes long -1 fixed
queued.max.requests int 500 fixed 1..
quota.window.num int 11 fixed 1..
quota.window.size.seconds int 1 fixed 1..
remote.fetch.max.wait.ms int 500 cluster 1..
remote.list.offsets.request.timeout.ms long 30000 cluster 1..
remote.log.index.file.cache.total.size.bytes long 1073741824 cluster 1..
remote.log.manager.copier.thread.pool.size int 10 cluster 1..
remote.log.manager.copy.max.bytes.per.second long 9223372036854775807 cluster 1..
remote.log.manager.copy.quota.window.num int 11 fixed 1..
remote.log.manager.copy.quota.window.size.seconds int 1 fixed 1..
remote.log.manager.expiration.thread.pool.size int 10 cluster 1..
remote.log.manager.fetch.max.bytes.per.second long 9223372036854775807 cluster 1..
remote.log.manager.fetch.quota.window.num int 11 fixed 1..
remote.log.manager.fetch.quota.window.size.seconds int 1 fixed 1..
remote.log.manager.follower.thread.pool.size int 2 cluster 1..
remote.log.manager.task.interval.ms long 30000 fixed 1..
remote.log.manager.thread.pool.size int 2 fixed 1..
remote.log.metadata.custom.metadata.max.bytes int 128 fixed 0..
remote.log.metadata.manager.class.name string org.apache.kafka.server.log.remote.metadata.storage.TopicBasedRemoteLogMetadataManager fixed
remote.log.metadata.manager.class.path string null fixed
remote.log.metadata.manager.impl.prefix string rlmm.config. fixed
remote.log.metadata.manager.listener.name string null fixed
remote.log.reader.max.pending.tasks int 100 fixed 1..
remote.log.reader.threads int 10 cluster 1..
remote.log.storage.manager.class.name string null fixed
remote.log.storage.manager.class.path string null fixed
remote.log.storage.manager.impl.prefix string rsm.config. fixed
remote.log.storage.system.enable boolean false fixed
replica.alter.log.dirs.io.max.bytes.per.second long null cluster 0..
replica.fetch.backoff.ms int 1000 fixed 0..
replica.fetch.max.bytes int 1048576 fixed 0..
replica.fetch.min.bytes int 1 fixed
replica.fetch.response.max.bytes int 10485760 fixed 0..
replica.fetch.wait.max.ms int 500 fixed
replica.high.watermark.checkpoint.interval.ms long 5000 fixed
replica.lag.time.max.ms long 30000 fixed
replica.selector.class string null fixed
replica.socket.receive.buffer.bytes int 65536 fixed
replica.socket.timeout.ms int 30000 fixed
replication.quota.window.num int 11 fixed 1..
replication.quota.window.size.seconds int 1 fixed 1..
request.timeout.ms int 30000 fixed
sasl.client.callback.handler.class class null fixed
sasl.enabled.mechanisms list GSSAPI broker
sasl.jaas.config password null broker
sasl.kerberos.kinit.cmd string /usr/bin/kinit broker
sasl.kerberos.min.time.before.relogin long 60000 broker
sasl.kerberos.principal.to.local.rules list DEFAULT broker
sasl.kerberos.service.name string null broker
sasl.kerberos.ticket.renew.jitter double 0.05 broker
sasl.kerberos.ticket.renew.window.factor double 0.8 broker
sasl.login.callback.handler.class class null fixed
sasl.login.class class null fixed
sasl.login.connect.timeout.ms int null fixed
sasl.login.read.timeout.ms int null fixed
sasl.login.refresh.buffer.seconds short 300 broker
sasl.login.refresh.min.period.seconds short 60 broker
sasl.login.refresh.window.factor double 0.8 broker
sasl.login.refresh.window.jitter double 0.05 broker
sasl.login.retry.backoff.max.ms long 10000 fixed
sasl.login.retry.backoff.ms long 100 fixed
sasl.mechanism.controller.protocol string GSSAPI fixed
sasl.mechanism.inter.broker.protocol string GSSAPI broker
sasl.oauthbearer.assertion.algorithm string RS256 fixed ~es256|rs256
sasl.oauthbearer.assertion.claim.aud string null fixed
sasl.oauthbearer.assertion.claim.exp.seconds int 300 fixed 0..86400
sasl.oauthbearer.assertion.claim.iss string null fixed
sasl.oauthbearer.assertion.claim.jti.include boolean false fixed
sasl.oauthbearer.assertion.claim.nbf.seconds int 60 fixed 0..3600
sasl.oauthbearer.assertion.claim.sub string null fixed
sasl.oauthbearer.assertion.file string null fixed
sasl.oauthbearer.assertion.private.key.file string null fixed
sasl.oauthbearer.assertion.private.key.passphrase password null fixed
sasl.oauthbearer.assertion.template.file string null fixed
sasl.oauthbearer.client.credentials.client.id string null fixed
sasl.oauthbearer.client.credentials.client.secret password null fixed
sasl.oauthbearer.clock.skew.seconds int 30 fixed
sasl.oauthbearer.expected.audience list "" fixed
sasl.oauthbearer.expected.issuer string null fixed
sasl.oauthbearer.jwks.endpoint.refresh.ms long 3600000 fixed
sasl.oauthbearer.jwks.endpoint.retry.backoff.max.ms long 10000 fixed
sasl.oauthbearer.jwks.endpoint.retry.backoff.ms long 100 fixed
sasl.oauthbearer.jwks.endpoint.url string null fixed
sasl.oauthbearer.jwt.retriever.class class org.apache.kafka.common.security.oauthbearer.DefaultJwtRetriever fixed
sasl.oauthbearer.jwt.validator.class class org.apache.kafka.common.security.oauthbearer.DefaultJwtValidator fixed
sasl.oauthbearer.scope string null fixed
sasl.oauthbearer.scope.claim.name string scope fixed
sasl.oauthbearer.sub.claim.name string sub fixed
sasl.oauthbearer.token.endpoint.url string null fixed
sasl.server.callback.handler.class class null fixed
sasl.server.max.receive.size int 524288 fixed
security.inter.broker.protocol string PLAINTEXT fixed PLAINTEXT|SSL|SASL_PLAINTEXT|SASL_SSL
security.providers string null fixed
share.coordinator.append.linger.ms int -1 fixed -1..
share.coordinator.cached.buffer.max.bytes int 1048588 cluster 524288..
share.coordinator.load.buffer.size int 5242880 fixed 1..
share.coordinator.snapshot.update.records.per.snapshot int 500 fixed 0..500
share.coordinator.state.topic.compression.codec int 0 fixed
share.coordinator.state.topic.min.isr short 2 fixed 1..
share.coordinator.state.topic.num.partitions int 50 fixed 1..
share.coordinator.state.topic.replication.factor short 3 fixed 1..
share.coordinator.state.topic.segment.bytes int 104857600 fixed 1..
share.coordinator.threads int 1 fixed 1..
share.coordinator.write.timeout.ms int 5000 fixed 1..
share.fetch.purgatory.purge.interval.requests int 1000 fixed
socket.connection.setup.timeout.max.ms long 30000 fixed
socket.connection.setup.timeout.ms long 10000 fixed
socket.listen.backlog.size int 50 fixed 1..
socket.receive.buffer.bytes int 102400 fixed
socket.request.max.bytes int 104857600 fixed 1..
socket.send.buffer.bytes int 102400 fixed
ssl.allow.dn.changes boolean false fixed
ssl.allow.san.changes boolean false fixed
ssl.cipher.suites list "" broker
ssl.client.auth string none broker required|requested|none
ssl.enabled.protocols list TLSv1.2,TLSv1.3 broker
ssl.endpoint.identification.algorithm string https broker
ssl.engine.factory.class class null broker
ssl.key.password password null broker
ssl.keymanager.algorithm string SunX509 broker
ssl.keystore.certificate.chain password null broker
ssl.keystore.key password null broker
ssl.keystore.location string null broker
ssl.keystore.password password null broker
ssl.keystore.type string JKS broker
ssl.principal.mapping.rules string DEFAULT fixed
ssl.protocol string TLSv1.3 broker
ssl.provider string null broker
ssl.secure.random.implementation string null broker
ssl.trustmanager.algorithm string PKIX broker
ssl.truststore.certificates password null broker
ssl.truststore.location string null broker
ssl.truststore.password password null broker
ssl.truststore.type string JKS broker
super.users unknown null fixed
telemetry.max.bytes int 1048576 fixed 1..
transaction.abort.timed.out.transaction.cleanup.interval.ms int 10000 fixed 1..
transaction.max.timeout.ms int 900000 fixed 1..
transaction.partition.verification.enable boolean true cluster
transaction.remove.expired.transaction.cleanup.interval.ms int 3600000 fixed 1..
transaction.state.log.load.buffer.size int 5242880 fixed 1..
transaction.state.log.min.isr int 2 fixed 1..
transaction.state.log.num.partitions int 50 fixed 1..
transaction.state.log.replication.factor short 3 fixed 1..
transaction.state.log.segment.bytes int 104857600 fixed 1..
transaction.two.phase.commit.enable boolean false fixed
transactional.id.expiration.ms int 604800000 fixed 1..
unclean.leader.election.enable boolean false cluster
"""  # noqa: E501


def broker_keys(about: dict[str, str]) -> Iterator[Setting]:
    """Give all keys; `about` says of those that act here what they do."""
    kinds = {kind.name.lower(): kind for kind in Kind}
    for line in _KEYS.split("\n"):
        if not line:
            continue
        name, kind, default, mode, *limits = line.split()
        low, high, one_of, also, folded = _limits(limits[0]) if limits else (None, None, (), (), False)
        yield Setting(
            name, kinds[kind], None if default == "null" else default.strip('"'), about.get(name, NOTHING_HERE),
            low=low, high=high, one_of=one_of, also=also, shape=SHAPES.get(name), folded=folded, mode=Mode(mode),
        )  # fmt: skip


def _limits(text: str) -> tuple[float | None, float | None, tuple[str, ...], tuple[str, ...], bool]:
    """Read what a key may hold: the least, the most, words, what is right besides, and whether case is the same."""
    if ".." not in text:
        return None, None, tuple(text.lstrip("~").split("|")), (), text.startswith("~")
    numbers, *also = text.split("|")
    low, high = numbers.split("..")
    return float(low), float(high) if high else None, (), tuple(also), False
