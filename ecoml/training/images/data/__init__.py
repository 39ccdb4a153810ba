"""Image data: readers of each format, the split, augmentation, and the set that stays on the device."""
