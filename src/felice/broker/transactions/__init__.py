"""Transactions, as a transaction coordinator keeps them (KIP-98, KIP-360, KIP-588, KIP-890).

`transaction` is the state machine of one transactional ID, pure; `coordinator` has all of them, writes down what
changes (`state_log`) and has `markers` written where a transaction ends; `enlisting` is how partitions join one.
"""
