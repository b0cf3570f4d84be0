"""The ledger: who was told (`deliveries`) and who answered (`decisions`), both hash chains. See
`listener.bus.hashchain`, where they are written and verified: decisions about the listener are appended next door."""

from __future__ import annotations

from listener.bus.hashchain import Chain, append, seal, verify

__all__ = ["Chain", "append", "seal", "verify"]
