"""What a model costs: parameters, multiply-adds, memory, and its speed on this machine."""
