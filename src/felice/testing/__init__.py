"""For tests of programs that use Kafka, whichever client they use.

pytest finds the fixtures by itself (see `felice.testing.plugin`); with other frameworks a test begins with
`felice.broker.Broker`, which is a context manager.
"""
