"""What is kept on disk of an image's result beside its attribution, and whose files they are."""
