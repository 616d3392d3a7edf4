#!/usr/bin/env python3
# Makes the seeds of the fuzz targets: make-corpus.py FOLDER writes FOLDER/NAME/... for every tests/fuzz/fuzz_NAME.c.
# Rests on the formats' own rules, spelled out below; inputs that the fuzzer once found (tests/fuzz/corpus/NAME) join them.
# Small files, good ones and ones with one thing wrong each: a fuzzer finds the rest from there.
import json
import shutil
import struct
import sys
from pathlib import Path


def idx(code, shape, data):
    return bytes([0, 0, code, len(shape)]) + b"".join(struct.pack(">I", n) for n in shape) + data


def npy(header, data, version=1):
    length = struct.pack("<H" if version == 1 else "<I", len(header))
    return b"\x93NUMPY" + bytes([version, 0]) + length + header.encode() + data


def describe(descr="'<f4'", order="False", shape="(2,)"):
    return f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}\n"


def safetensors(header, data):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def array(dtype, shape, begin, end):
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


CORPUS = {
    "idx": {
        "images": idx(0x08, [2, 2, 2], bytes(8)),
        "labels": idx(0x08, [3], b"\x00\x01\x09"),
        "int8": idx(0x09, [1], b"\xff"),
        "int16": idx(0x0B, [2], bytes(4)),
        "int32": idx(0x0C, [1, 1], bytes(4)),
        "float32": idx(0x0D, [1], bytes(4)),
        "float64": idx(0x0E, [1], bytes(8)),
        "rank8": idx(0x08, [1] * 8, b"x"),
        "empty": b"",
        "none": idx(0x08, [0, 28, 28], b""),
        "cut": idx(0x08, [3], b"\x00")[:-1],
        "trailing": idx(0x08, [1], b"ab"),
        "absurd": idx(0x0E, [0xFFFFFFFF] * 3, b""),
        "magic": b"\x01\x00\x08\x01\x00\x00\x00\x00",
    },
    "npy": {
        "floats": npy(describe(), bytes(8)),
        "big": npy(describe("'>i2'", shape="(2, 1)"), bytes(4)),
        "scalar": npy(describe("'|u1'", shape="()"), b"x"),
        "unsigned": npy(describe("'>u4'", shape="(9, 2)"), b"\xff" * 72),
        "fortran": npy(describe("'<i8'", "True", "(2, 3)"), bytes(48)),
        "version2": npy(describe("'|b1'"), bytes(2), 2),
        "version3": npy(describe(), bytes(8), 3),
        "object": npy(describe("'|O'"), b"\x80\x04."),
        "record": npy(describe("[('a', '<f4')]"), bytes(8)),
        "empty": b"",
        "absurd": npy(describe(shape="(9223372036854775807, 9223372036854775807)"), b""),
        "cut": npy(describe(), bytes(8))[:30],
        "trailing": npy(describe(), bytes(9)),
    },
    "safetensors": {
        "smallest": safetensors(b"{}      ", b""),
        "two": safetensors({"a": array("F32", [2], 0, 8), "b": array("U8", [], 8, 9)}, bytes(9)),
        "metadata": safetensors({"__metadata__": {"k": "v", "u": "\u00e4"}, "w": array("F64", [0], 0, 0)}, b""),
        "foreign": safetensors({"x": array("F8_E4M3", [3], 0, 3), "y": array("C64", [1], 3, 11)}, bytes(11)),
        "hole": safetensors({"a": array("U8", [1], 1, 2)}, bytes(2)),
        "overlap": safetensors({"a": array("U8", [2], 0, 2), "b": array("U8", [2], 1, 3)}, bytes(3)),
        "outside": safetensors({"a": array("U8", [9], 0, 9)}, bytes(2)),
        "absurd": safetensors({"a": array("F64", [2**62, 2**62], 0, 8)}, bytes(8)),
        "duplicate": safetensors(b'{"a":1,"a":2}', b""),
        "deep": safetensors(b'{"a":' + b"[" * 200 + b"]" * 200 + b"}", b""),
        "empty": b"",
        "length": b"\xff" * 8 + b"{}",
    },
}



def soma(model, tensors, **metadata):
    """A model file: float32 tensors of zeros by name and shape, metadata as JSON."""
    header, end = {"__metadata__": {"soma": "1", "model": json.dumps(model)}}, 0
    header["__metadata__"].update({key: json.dumps(value) for key, value in metadata.items()})
    for name, shape in tensors.items():
        size = 4
        for n in shape:
            size *= n
        header[name] = array("F32", shape, end, end + size)
        end += size
    return safetensors(header, bytes(end))


DENSE = {"class_name": "Dense", "config": {"name": "d", "units": 2, "activation": "relu", "input_shape": [3]}}
WEIGHTS = {"d/kernel": [3, 2], "d/bias": [2]}
TRAINING = {"optimizer": {"sgd": {"momentum": 0.5}}, "loss": "mse", "metrics": ["mae"], "epochs": 2}
CORPUS["soma"] = {
    "dense": soma({"layers": [DENSE]}, WEIGHTS),
    "trained": soma({"layers": [DENSE]}, WEIGHTS, training=TRAINING, history={"loss": [1, 0.5], "val_mae": [0, None]},
                    labels=["a", "b"]),
    "sequence": soma({"name": "s", "input_shape": [2, 3], "pixels": {"scale": 0.5, "offset": 1}, "layers": [
        "flatten", {"reshape": [3, 2]}, {"dropout": 0.5}, {"activation": "tanh"}, {"rescaling": 2}]}, {}),
    "calls": soma({"layers": [{"input": [3]}, DENSE, {"concatenate": {"axis": -1}}], "inputs": 1, "outputs": [3],
                   "calls": [{"layer": 1, "inputs": [0]}, {"layer": 1, "inputs": [0]},
                             {"layer": 2, "inputs": [1, 2]}]}, WEIGHTS),
    "initializer": soma({"layers": [{"dense": {"name": "d", "units": 2, "input_shape": [3], "kernel_initializer":
        {"normal": {"stddev": 0.1}}, "kernel_regularizer": {"l1_l2": {"l1": 1}}}}]}, WEIGHTS),
    "missing": soma({"layers": [DENSE]}, {"d/kernel": [3, 2]}),
    "mismatch": soma({"layers": [DENSE]}, {"d/kernel": [2, 3], "d/bias": [2]}),
    "forward": soma({"layers": [{"input": [3]}, "flatten"], "inputs": 1, "outputs": [1],
                     "calls": [{"layer": 1, "inputs": [1]}]}, {}),
    "unbuilt": soma({"layers": [{"dense": 3}]}, {}),
    "absurd": soma({"layers": [{"dense": {"units": 2**62, "input_shape": [2**62]}}]}, {}),
    "nothing": soma({}, {}),
}

here = Path(__file__).resolve().parent
out = Path(sys.argv[1])
for target in sorted(here.glob("fuzz_*.c")):
    name = target.stem[len("fuzz_"):]
    folder = out / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for seed, data in CORPUS.get(name, {}).items():
        (folder / seed).write_bytes(data)
    for found in sorted((here / "corpus" / name).glob("*")):
        shutil.copy(found, folder / f"found-{found.name}")
    print(f"{name}: {len(list(folder.iterdir()))} inputs")
