"""Engines whose credentials are rotated, one module each."""
