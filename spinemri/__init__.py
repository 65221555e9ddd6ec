"""spinemri: epidural masses in spine MRI, measured. For research use only."""

__version__ = "0.1.0"
__all__ = ["__version__"]
