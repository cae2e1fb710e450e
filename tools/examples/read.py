"""Reads frames of a slot where they lie: a memoryview over shared memory, without a copy.

  LD_LIBRARY_PATH=$(tools/library)/lib python3 tools/examples/read.py cam1 [FRAMES]
"""
import ctypes as c
import sys

u32, i64, u64, pointer = c.c_uint32, c.c_int64, c.c_uint64, c.c_void_p


class Grain(c.Structure):  # pbr_grain of patchbay_ring_layout.h
    _fields_ = [("sequence", u64), ("pts", i64), ("dts", i64), ("duration", i64), ("origin", i64), ("position", u64),
                ("size", u32), ("side_data_size", u32), ("flags", u32), ("timecode", u32), ("samples", u32),
                ("side_data_lost", u32), ("ledger_count", u32), ("reserved0", u32), ("rest", u64 * 22)]


class Lease(c.Structure):  # pbr_lease of patchbay_ring.h
    _fields_ = [("grain", Grain), ("data", pointer), ("size", c.c_size_t), ("side_data", pointer),
                ("side_data_size", c.c_size_t), ("lost", u64), ("owner", pointer), ("reserved", u64 * 2)]


GRAIN, TIMEOUT, LAPPED, NO_SIGNAL, WRITER_GONE, CHANGED, ENDED, REMOVED, CORRUPT = range(9)
SECOND = 1_000_000_000

ring = c.CDLL("libpatchbay-ring.so.1")
ring.pbr_last_error_detail.restype = c.c_char_p
ring.pbr_reader_read.argtypes = [pointer, c.POINTER(Lease), i64]
ring.pbr_reader_detach.argtypes = [pointer]


def frames(name):
    """Yields (grain, memoryview) for each frame; the view is good until the next one is asked for."""
    reader, lease = pointer(), Lease()
    if ring.pbr_reader_attach(c.byref(reader), name.encode(), None) < 0:
        raise OSError(ring.pbr_last_error_detail().decode())
    try:
        while (result := ring.pbr_reader_read(reader, c.byref(lease), SECOND)) >= 0 and result not in (ENDED, REMOVED):
            if result == LAPPED:
                print(f"lost {lease.lost}", file=sys.stderr)
            elif result == GRAIN:
                yield lease.grain, memoryview((c.c_ubyte * lease.size).from_address(lease.data)).cast("B").toreadonly()
                ring.pbr_release(c.byref(lease))
    finally:
        ring.pbr_release(c.byref(lease))
        ring.pbr_reader_detach(reader)


left = int(sys.argv[2]) if len(sys.argv) > 2 else -1
for grain, picture in frames(sys.argv[1] if len(sys.argv) > 1 else "cam1"):
    print(f"sequence {grain.sequence} pts {grain.pts} size {len(picture)} first {picture[:4].hex()}")
    left -= 1
    if left == 0:
        break
