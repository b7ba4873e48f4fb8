"""Memory, copies and kernels on a device, and lanes whose arrays live there."""
