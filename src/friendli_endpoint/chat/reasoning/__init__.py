"""Where reasoning ends and the answer begins."""
