"""An engine of our own over any backend: loop, scheduler, prefix cache, sampling, drafting."""
