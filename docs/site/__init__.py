"""The built documentation: `python -m docs.site` lays the pages out as sources of Sphinx and builds them."""
