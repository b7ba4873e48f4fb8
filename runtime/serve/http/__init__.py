"""REST: the protocol's addresses, those for people, and what is between them and the sockets."""
