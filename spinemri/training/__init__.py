"""Training of the segmentation network; needs the extra `train`."""
