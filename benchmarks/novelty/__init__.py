"""Which score tells cells of a class that the reference lacks from cells of the classes that it has."""
