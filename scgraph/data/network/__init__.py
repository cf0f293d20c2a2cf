"""The user's gene network, laid onto a vocabulary."""
