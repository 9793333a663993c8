"""Kafka's messages in our notation: one module per API, each with its request and its response.

All APIs that brokers offer are here; what controllers ask each other is not. Messages without an API are in modules of
their own: `consumer_protocol`, and the coordinators' topics `offsets_topic`, `transaction_log`, `share_state_topic`.

Names are Kafka's own, fields in snake case. The structs of a message are nested as on the wire, and all of them are
also attributes of the message: `ProduceRequest.PartitionProduceData`. Where Kafka repeats the message's name in a
struct's, it is left out: its `MetadataRequestTopic` is `MetadataRequest.Topic`.
"""
