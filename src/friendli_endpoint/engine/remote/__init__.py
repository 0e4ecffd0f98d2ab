"""Engine that runs elsewhere: its wire form, and the replay of requests that an engine has lost."""
