"""Polyvault: rotation, sync, audit and compliance over four vaults. Import the module that you need."""
