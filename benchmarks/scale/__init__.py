"""What a pass over very many cells on many devices would need."""
