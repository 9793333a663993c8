"""Groups and the offsets that they have committed, as a group coordinator keeps them.

`groups` is the registry, `group` what groups of all kinds share; `classic` is the protocol in which members join and
one of them assigns, `offsets` what was committed, `offsets_log` how all of it stands in `__consumer_offsets`.
"""
