"""What predicted scores of drug combinations are worth, beside baselines, wrong lines and replicates."""
