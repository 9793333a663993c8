#!/bin/sh
# Stands for the script of this name in Kafka's distribution, which suites call as $KAFKA_PATH/bin/kafka-acls.sh.
exec "$(dirname "$0")/kafka-run-class.sh" org.apache.kafka.tools.AclCommand "$@"
