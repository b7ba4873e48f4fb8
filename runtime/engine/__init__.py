"""The slot engine: takes requests, evaluates lanes of many callers together and returns the results."""
