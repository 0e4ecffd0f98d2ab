"""Decoding: scheduling, sampling and the model; knows no HTTP and no chat."""
