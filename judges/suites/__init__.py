"""The suites, in the order in which they run."""

from judges.suite import Suite
from judges.suites import clients, kafka_python, librdkafka, tools

SUITES: tuple[Suite, ...] = (*clients.SUITES, *tools.SUITES, *kafka_python.SUITES, *librdkafka.SUITES)
