"""`make demo`: the main job, end to end, on the local cloud.

A client that logs in to PostgreSQL every 50 ms keeps running while the deployed functions rotate its password three
times, copy it to another vault, answer for it in the audit log and report on it.
"""
