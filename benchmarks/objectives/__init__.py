"""Which other ideas of training are worth more than the default of the bench."""
