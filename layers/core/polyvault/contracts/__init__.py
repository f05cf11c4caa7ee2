"""Wire formats: what handlers parse and adapters encode."""
