"""A server for explanations: the Open Inference Protocol over REST and gRPC, and a page for people."""
