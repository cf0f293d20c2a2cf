"""What predicted perturbations are worth on simulated screens, where it is known what can be found."""
