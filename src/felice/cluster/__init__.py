"""Talking to a cluster: the engine's thread, connections, metadata, and which broker a request goes to."""
