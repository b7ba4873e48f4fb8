"""The server as a Ray Serve application: one process speaks to callers, replicas compute."""
