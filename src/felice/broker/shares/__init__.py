"""Share groups (KIP-932), but for their members: those are groups like others.

`state` is the share coordinators' half: how far each group has come in each partition (`progress`, `state_batch`), kept
in `__share_group_state`.
"""
