"""The whole pipeline over Kafka, from the byte that X sends to the alert: how late, how many, what each stage costs.

    python -m tests.bench.kafka_pipeline [--rates 250,1000] [--seconds 20] [--workers 1,2,4] [--step 8]
        [--quick] [--told] [--probes 20] [--embedded]

A fake X, the listener, annotators and the judge are processes of their own, as `lyttepost run` starts them, with the
rules that come with it; one more process's thread, here, reads `mentions` and `alerts` as anybody would. All posts
match the incident. Some are probes, each with another hashtag: a rule that fires at once, one that waits for the
watermark and the same rule told early make an alert of each. Nobody is told, which is the channels' time; with `--told`
the dispatcher runs too, and measured is when its intent to tell somebody could be read, for each of the three rules.
With `--embedded` all of it is one process of `lyttepost run`, on a file and without Kafka.

*At once* is from the instant before the fake writes the line until the alert can be read. *Behind the watermark* is the
same alert's delay from the moment when the last tick was made that moves the watermark past the post; *on the wall* is
that alert's delay from the line, with the default lateness of 10 s in it; *told early* is the delay from the line of
the rule that does not wait for it. *µs* is the processor time a post, of each
stage's processes; the broker's too, unless LYTTEPOST_TEST_KAFKA names a running one.

*Sustained* is the highest rate, found by halving the space between, at which alerts at the end come no later than in
the beginning, with so many annotators. Everything shares this machine, the broker and the fake included.

Ends with 1 when at the highest of the rates the p99 behind the watermark is not below a second.
"""
