"""Attributes any number of images in constant memory, from a source into a sink."""
