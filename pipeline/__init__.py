"""Media from the device to the disk, the wall and the workers; knows nothing of cases, people or HTTP."""
