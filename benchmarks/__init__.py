"""What fluxpath costs beside what one would otherwise run; see README.md."""
