"""Emulated AWS for people who develop with Secrets Manager rotation: MiniStack, made to do what AWS does."""
