"""Attributions to pictures, photos to arrays; numpy and Pillow only."""
