"""Programs in the manner of public ones, run under the published clients and ours."""
