"""The demo: a small classifier of handwritten digits, and the images that it is explained on."""
