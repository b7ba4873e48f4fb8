"""The explainer of small pictures that the sinks' tests use too."""

from sinks import expected, explainer  # noqa: F401
