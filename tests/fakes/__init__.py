"""Far ends that tests talk to: small, real servers on loopback sockets. Those of platforms come with the program."""
