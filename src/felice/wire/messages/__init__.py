"""Kafka's messages in our notation: one module per API, each with its request and its response.

Names are Kafka's own, fields in snake case. The structs of a message are nested as on the wire, and all of them are
also attributes of the message: `ProduceRequest.PartitionProduceData`. Where Kafka repeats the message's name in a
struct's, it is left out: its `MetadataRequestTopic` is `MetadataRequest.Topic`.
"""
