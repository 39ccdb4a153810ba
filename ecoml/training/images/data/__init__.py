"""Image data: readers of each format, the split, augmentation, and the data on the device."""
