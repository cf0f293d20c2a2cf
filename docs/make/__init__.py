"""The generated blocks of README.md and docs/: `python -m docs.make` renews them all."""
