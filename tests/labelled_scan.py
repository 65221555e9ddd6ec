"""A labelled scan made by hand: bodies and discs, the sac, and arches behind it."""

import numpy as np

from spinemri.training.real import SpiderScan
from spinemri.volume import Volume

PITCH_MM = 0.9


def labelled_scan(slices: int) -> SpiderScan:
    """So many slices of 0.9 mm, in three fifths of which the sac is seen."""
    shape = (slices, 60, 160)
    image, labels = np.full(shape, 0.8, np.float32), np.zeros(shape, np.uint8)
    labels[:, 4:20], labels[:, 42:50] = 1, 1
    for height in range(10, 160, 30):
        labels[:, 4:20, height : height + 7] = 2
    labels[slices // 5 : slices - slices // 5, 22:38] = 3
    image[labels == 3], image[labels == 2], image[:, 50:] = 3.0, 0.4, 2.5
    return SpiderScan(Volume(image, np.diag([PITCH_MM, 0.8, 0.8, 1.0]), "nifti"), labels, np.zeros(shape, dtype=bool))
