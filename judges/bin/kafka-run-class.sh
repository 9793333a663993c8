#!/bin/sh
# Stands for the script of this name in Kafka's distribution: runs a class out of $KAFKA_PATH/libs, with what CLASSPATH
# names before it. The options make Java start in half the time, which is most of what a short command takes.
exec java -Xmx256m -XX:TieredStopAtLevel=1 -XX:+UseSerialGC -Xshare:auto ${LOG4J:+"-Dlog4j2.configurationFile=$LOG4J"} \
    -cp "${CLASSPATH:+$CLASSPATH:}${KAFKA_PATH:?must name the folder that holds bin and libs}/libs/*" "$@"
