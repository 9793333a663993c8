"""Suites that nobody here wrote, run on real Apache Kafka and on the embedded broker; `python -m judges --help`.

cache        what is fetched and built, once, under .cache/judges
process      children with a deadline, ended with all that they started
contestant   Kafka and felice, each started fresh
outcome      how a case went; a suite's outcomes on one contestant, kept between runs
suite        what a suite is
suites/      librdkafka's, kafka-python's, Kafka's own tools, other clients' round trips
clients/     the programs of the round trips, each in its client's language
bin/         what stands for the scripts of Kafka's distribution
scoreboard   both columns side by side, every miss with its cause out of causes.toml
"""
