"""gRPC: the protocol's service, with the messages of tritonclient, which are KServe's on the wire."""
