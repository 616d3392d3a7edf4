#!/usr/bin/env python3
# Writes the pictures of pictures.sh: the tiny data's class 1 (second row bright) at its own size, enlarged, dark on
# light; an empty one, and one cut off. Rests on zlib alone.
import struct
import zlib


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(path, rows, cut=None):
    header = struct.pack(">IIBBBBB", len(rows[0]), len(rows), 8, 0, 0, 0, 0)
    raw = b"".join(b"\0" + bytes(row) for row in rows)
    data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(raw)) + chunk(b"IEND", b"")
    with open(path, "wb") as file:
        file.write(data[:cut])


def enlarged(rows, times):
    return [[value for value in row for _ in range(times)] for row in rows for _ in range(times)]


same = [[0] * 4, [250] * 4, [0] * 4, [0] * 4]
png("same.png", same)
png("large.png", enlarged(same, 10))
png("paper.png", [[255 - value for value in row] for row in enlarged(same, 10)])
png("empty.png", [[255] * 30] * 20)
png("cut.png", enlarged(same, 10), 60)
