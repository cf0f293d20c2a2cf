"""Are the embeddings worth taking?"""
