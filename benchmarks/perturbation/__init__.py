"""What predicted perturbations are worth: on real screens, and on simulated ones whose effects are known."""
