"""Metrics that compare sums of attributions with changes of the explained function."""
