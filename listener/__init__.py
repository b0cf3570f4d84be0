"""Hears: sources, mode, privacy, capture, and the bus that carries what was heard."""

from typing import Final

__version__: Final = "0.1.0"
