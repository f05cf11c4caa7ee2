"""Polyvault's own AWS resources behind the ports."""
