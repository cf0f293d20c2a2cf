"""The edge path with torch-scatter and without."""
