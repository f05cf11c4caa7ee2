"""The proof that a rotation survives its own death: it dies before and after each outward call, on a real server.

``python -m tests.killpoints`` runs every point and writes build/proof/summary.json; the tests run those around writes.
"""
