"""An explainer of small pictures, and what it must have written."""

from sinks import expected, explainer  # noqa: F401
