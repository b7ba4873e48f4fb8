"""The slot engine: requests in, lanes of many callers in one evaluation, results out."""
