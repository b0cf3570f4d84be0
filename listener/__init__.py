"""Hears: sources, mode, privacy, capture, and the bus that carries what was heard."""
