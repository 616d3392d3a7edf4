#!/usr/bin/env python3
# Writes print.txt: arrays and the text that NumPy 1.24 prints for them.
# A case is "<dtype> <rank> <extents> arange|hex <bytes>", then "lines <n>" and the text. Run: python3 print.py > print.txt
import sys

import numpy as np


def case(array, how=None):
    array = np.asarray(array)
    shape = " ".join(str(n) for n in array.shape)
    data = how or "hex " + array.tobytes().hex()
    text = str(array)
    print(f"{array.dtype.name} {array.ndim} {shape} {data}".replace("  ", " "))
    print(f"lines {text.count(chr(10)) + 1}")
    print(text)


def arange(dtype, *shape):
    case(np.arange(np.prod(shape)).astype(dtype).reshape(shape), "arange")


f32, f64, f16 = np.float32, np.float64, np.float16
rng = np.random.default_rng(20230501)

for dtype in (f32, f64, f16):
    for values in ([0, 1, 2, 3], [0.1, 0.25, -3], [1.5, np.nan, -np.inf, np.inf], [np.nan, np.nan], [np.inf], [-np.inf, 1],
                   [0.0001, 1], [0.0001, 0.01], [1e-5, 1], [1000.5, 1], [1001, 1], [1e-7, 2e-7], [-0.0, 0.0], [0.0],
                   [1 / 3, 2 / 3, 1], [123.456, 7.1], [-1.5, -22.25], [1e4, 1.0], [1e4, 0.5e4]):
        case(np.array(values, dtype))
for values in ([1e8], [99999999.0], [1e10, 1], [1e100, 1e-100], [1e-300, 1], [123456789.123], [1e16], [0.1 + 0.2],
               [1 / 3, 1e5], [2 / 3 * 1e-4, 1], [5e-324, 1.7976931348623157e308], [np.pi * 1e7, 1e6], [1e-10, np.nan],
               [-1e-10, -np.inf, 3e10]):
    case(np.array(values, f64))
for values in ([16777216.0], [33554432.0, 33554436.0], [1e8], [3.4028235e38, 1e-45], [99999992.0], [0.1, 0.7, 1e-3],
               [1e-4], [16777.216, 0.5e4], [8388608.5]):
    case(np.array(values, f32))
case(np.array([65504, 1, 6e-8], f16))
case(np.array([2048, 2050, 2052], f16))
case(np.array([2.0 ** -6, 2.0 ** 13, 0], f16))
case(np.array([2.0 ** -10, 2.0 ** -6, 2.0 ** -5], f16))
# scalars
for dtype in (f32, f64, f16):
    for value in (0, 1, -2.5, 0.1, 1e-4, 1e-5, 1234.5, np.nan, np.inf, -np.inf, -0.0, 1 / 3):
        case(np.array(value, dtype))
for value in (1e15, 1e16, 1.5e16, 123456789012345680.0, 9007199254740993.0, 1e22, 1e23, 2.0 ** -20):
    case(np.array(value, f64))
    case(np.array(value, f32))
case(np.array(-7, np.int64))
case(np.array(True))
case(np.array(False))
# integers and truth values
case(np.array([1, -20, 300], np.int32))
case(np.array([[0, 255], [7, 19]], np.uint8))
case(np.array([-(2 ** 63), 2 ** 63 - 1], np.int64))
case(np.array([-128, 127, 5], np.int8))
case(np.array([-32768, 5], np.int16))
case(np.array([True, False, True]))
case(np.array([[True], [False]]))
# shapes
case(np.zeros((0,), f32))
case(np.zeros((2, 0, 3), f64))
case(np.zeros((1, 1, 1), f32))
arange(np.int64, 12)
arange(np.int64, 3, 4)
arange(f32, 2, 3, 4)
arange(f64, 2, 1, 2, 3)
arange(np.int32, 2, 2, 1, 2, 2)
# long lines
arange(np.int64, 40)
arange(f32, 40)
arange(f64, 2, 30)
arange(np.int64, 3, 2, 25)
arange(np.uint8, 100)
case(rng.normal(size=30).astype(f32))
case(rng.normal(size=(4, 12)))
case(rng.normal(size=(2, 3, 9)).astype(f32) * 100)
case((rng.normal(size=20) * 10.0 ** rng.integers(-6, 6, 20)))
case((rng.normal(size=20) * 10.0 ** rng.integers(-20, 20, 20)).astype(f32))
case(rng.integers(0, 2, 60).astype(bool))
case(rng.integers(-10 ** 12, 10 ** 12, 14))
# summaries
arange(np.int64, 1000)
arange(np.int64, 1001)
arange(f32, 1001)
arange(f32, 40, 30)
arange(np.int64, 5, 300)
arange(np.int64, 300, 5)
arange(f64, 11, 10, 10)
arange(np.int32, 7, 7, 7, 7)
arange(np.int64, 6, 2, 100)
arange(np.int32, 28, 28, 2)
arange(f32, 2000, 1)
arange(f64, 1, 2000)
sys.stdout.flush()
