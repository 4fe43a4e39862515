"""gzip files of unknown origin, read piece by piece: no more is unzipped than is requested."""

import zlib
from typing import BinaryIO

PIECE = 2**16
GZIP_FORMAT = 16 + zlib.MAX_WBITS


class Unzipped:
    """The content of a gzip file with a single member; all files that we read are like that.

    Python's own reader reads a file's name or comment byte by byte, and accepts any number of members.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file, self._waiting = file, b""
        self._member = zlib.decompressobj(GZIP_FORMAT)

    def read(self, size: int) -> bytes:
        """The next ``size`` bytes; fewer at the end.

        Raises:
            EOFError: the file ends early, or continues after its member.
            zlib.error: the content is not gzip, or its checksum is wrong.
        """
        result = bytearray()
        while len(result) < size and not self._member.eof:
            piece = self._waiting or self._file.read(PIECE)
            if not piece:
                raise EOFError("it ends early")
            result += self._member.decompress(piece, size - len(result))
            self._waiting = self._member.unconsumed_tail
        if self._member.eof and (self._member.unused_data or self._file.read(1)):
            raise EOFError("something follows its end")
        return bytes(result)
