"""The job as programs. Each is called with: bootstrap servers, topic of posts, topic of alerts, how many posts.

An alert record is `{"phrase": …, "minute": …}` with the minute's beginning in seconds since the epoch. Programs end
when they have read all posts and their alerts are written.
"""
