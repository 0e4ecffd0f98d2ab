"""Engine over any `Backend`: loop, scheduler, prefix cache, sampling, drafting."""
