"""Files as a bad transfer leaves them."""

import zlib
from pathlib import Path

_GZIP = 31


def damage_after(good: int, source: Path, target: Path) -> None:
    """Compress a file so that its first bytes can be decompressed and the rest cannot."""
    content = source.read_bytes()
    packer = zlib.compressobj(wbits=_GZIP)
    start = packer.compress(content[:good]) + packer.flush(zlib.Z_FULL_FLUSH)
    rest = packer.compress(content[good:]) + packer.flush()
    # Deflate blocks of type 3 do not exist.
    target.write_bytes(start + b"\xff" + rest[1:])
