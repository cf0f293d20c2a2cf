"""The measurements behind the documents, one folder a question; README.md has the list."""
