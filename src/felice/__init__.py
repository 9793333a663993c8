"""felice: a Kafka toolkit for Python."""
