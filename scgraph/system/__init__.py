"""Processes, locks and temporary files: what the operating system is asked for."""
