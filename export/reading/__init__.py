"""From a model file to the form that the autodiff works on."""
