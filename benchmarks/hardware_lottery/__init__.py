"""Why attention is run as dense products: one layer as edge list, dense and fused."""
