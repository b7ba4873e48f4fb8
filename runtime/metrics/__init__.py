"""Is the explanation right? Measures of attributions, one definition per file."""
