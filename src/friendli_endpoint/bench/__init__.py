"""Measures chat completions over HTTP, ours beside others', in interleaved rounds.

It knows addresses, requests and clocks, and nothing of the endpoint's other rooms: it drives ours
as it drives any other server.
"""
