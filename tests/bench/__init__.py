"""Measurements: each a script that prints numbers and the bound they are held to."""
