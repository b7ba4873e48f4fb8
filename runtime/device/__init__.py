"""Memory, copies and kernels on a device, and lanes with their arrays in device memory."""
