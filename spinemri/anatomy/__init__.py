"""From images to tissues, canal centreline and named levels."""
