"""What is measured, as ratios against a named peer in the same run."""
