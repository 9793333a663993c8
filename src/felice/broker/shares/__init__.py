"""Share groups (KIP-932), but for their members: those are groups like others.

`state` is the share coordinators' half: how far each group has come in each partition (`progress`, `state_batch`), kept
in `__share_group_state`.

`leaders` is that of the partitions' leaders: `handout` is a partition as one group reads it, a `window` of batches and
their `deliveries`, of which an `acquisition` takes; `reader` and `log_reader` read for a request of a member, whose
partitions are remembered in `sessions`, and who is `acknowledging` what it got.
"""
