"""What can be configured while the broker runs: topics, brokers, loggers, groups, subscriptions to clients' metrics.

Each type of resource is one class that checks, keeps and describes what is set of its own (`resource` has what they
share); `changes` makes new texts out of old ones, and `store` finds the class.
"""
