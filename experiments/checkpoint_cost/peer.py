"""The peer process: holds the memory that it is given, and confirms what lies in it by its CRC-32. Standard library."""

from __future__ import annotations

import mmap
import sys
import zlib


def main() -> None:
    """For each line ``start length`` on stdin answer with the CRC-32 of those bytes; ends when stdin does."""
    handle, size = (int(word) for word in sys.argv[1:3])
    with mmap.mmap(handle, size) as memory:
        view = memoryview(memory)
        try:
            for line in sys.stdin:
                start, length = (int(word) for word in line.split())
                print(zlib.crc32(view[start : start + length]), flush=True)
        finally:
            view.release()


if __name__ == "__main__":
    main()
