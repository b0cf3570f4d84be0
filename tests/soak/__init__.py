"""An hour of X at its worst, played fast: a seeded script, a fake X that plays it, and clients that live through it.

`script` is what happens, `play` makes it happen to a client and `judge` says what became of every post. The clients are
processes of their own, since they are killed: `listener` is ours, the peers stand in `tests/bench/x_peers.py`.
"""
