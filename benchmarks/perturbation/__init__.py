"""What predicted perturbations are worth: on real screens, and on simulated ones, where the truth is known."""
