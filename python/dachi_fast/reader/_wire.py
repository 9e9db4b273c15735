"""Numbers and lengths out of bytes (docs/format.md, section 1)."""

from __future__ import annotations

from dachi_fast.errors import Malformed


def malformed(what: str, **context: object) -> Malformed:
    """Gives the error for bytes that do not follow the format."""
    return Malformed("malformed", what, **context)


class Take:
    """Reads fields one after the other; what does not follow the format is `Malformed`.

    Args:
        data: all the bytes of one record.
    """

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def rest(self) -> bytes:
        """The bytes not yet read."""
        return self._data[self._at :]

    def raw(self, length: int) -> bytes:
        """Gives the next `length` bytes."""
        end = self._at + length
        if end > len(self._data):
            raise malformed("a record ends before it is complete")
        taken = self._data[self._at : end]
        self._at = end
        return taken

    def u8(self) -> int:
        """Gives one byte."""
        return self.raw(1)[0]

    def u32(self) -> int:
        """Gives four bytes, little endian."""
        return int.from_bytes(self.raw(4), "little")

    def u64(self) -> int:
        """Gives eight bytes, little endian."""
        return int.from_bytes(self.raw(8), "little")

    def flag(self) -> bool:
        """Gives one byte that says yes or no."""
        byte = self.u8()
        if byte > 1:
            raise malformed("a flag is neither 0 nor 1")
        return byte == 1

    def varint(self) -> int:
        """Gives LEB128 in its shortest form, below 2^64."""
        value = 0
        for shift in range(0, 64, 7):
            byte = self.u8()
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                if (byte == 0 and shift > 0) or value >= 1 << 64:
                    break
                return value
        raise malformed("a number is not in its shortest form")

    def count(self) -> int:
        """Gives a varint that counts things of which each takes at least one byte."""
        count = self.varint()
        if count > len(self._data) - self._at:
            raise malformed("a record ends before it is complete")
        return count

    def sized(self) -> bytes:
        """Gives a varint length and that many bytes."""
        return self.raw(self.count())

    def text(self) -> str:
        """Gives a varint length and UTF-8."""
        return utf8(self.sized())

    def done(self) -> None:
        """Nothing may be left over."""
        if self._at != len(self._data):
            raise malformed("a record is longer than it says")


def utf8(data: bytes) -> str:
    """Gives bytes as text."""
    try:
        return data.decode()
    except UnicodeDecodeError as cause:
        raise malformed("a text in a record is not UTF-8") from cause
