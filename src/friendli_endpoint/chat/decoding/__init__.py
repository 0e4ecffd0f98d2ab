"""What happens at each token: guides, stop criteria, and the reading of the output."""
