"""X, as the listener needs it: rules, connection, stream, search, counts, money.

`listener.sources.x` puts them together.

Why tweepy's client and not our own HTTP: it is the given library, it is kept, and it knows X's endpoints. What it does
wrong in a crisis (see `stream`) is overridden where tweepy offers the method to override, and nowhere patched.
"""
