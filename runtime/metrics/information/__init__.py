"""Information curves: how much of the image's information the model needs."""
