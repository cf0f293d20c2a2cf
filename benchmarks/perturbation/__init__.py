"""What predicted perturbations are worth: on real screens, and on simulated ones, where it is known what can be found."""
