"""Jinja's sandbox with limits on time, memory and the size of values; independent of chat.

Three rules bound a template, whatever it does:

- Only what is listed is available: attributes by type, filters, tests, globals and statements.
  There are no bytes, no sets, and no integers of more than 64 bits.
- Every value that is created is charged its size in memory against one budget of the rendering,
  whether the value is kept or not. An operation whose result can be larger than its operands is
  checked before it runs, by an upper bound of the size of the result.
- The time is checked before every call, filter and iteration. The work between two checks is at
  most proportional to `MAX_CHARACTERS`: an operation on nested values (comparing, hashing, writing)
  first measures them, with shared parts counted as often as they occur.
"""
