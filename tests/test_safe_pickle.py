"""Pickles of unknown origin: honest ones come back, hostile ones do nothing."""

import collections
import copyreg
import os
import pickle
import random
import struct
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from sb3_gail_ext import DemonstrationError
from sb3_gail_ext.demonstrations.formats.pickled_names import pickled_names
from sb3_gail_ext.demonstrations.formats.safe_pickle import safe_loads
from sb3_gail_ext.demonstrations.formats.stand_ins import Record

PROTOCOLS = range(pickle.HIGHEST_PROTOCOL + 1)


def loads(data: bytes, **kwargs: Any) -> Any:
    return safe_loads(data, "x.npz: array infos", **kwargs)


def refused(data: bytes, *words: str, **kwargs: Any) -> None:
    """One short line, at once."""
    start = time.process_time()
    with pytest.raises(DemonstrationError) as caught:
        loads(data, **kwargs)
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < 500
    for word in ("x.npz: array infos", *words):
        assert word in message
    assert time.process_time() - start < 2


def message_of(data: bytes, **kwargs: Any) -> str:
    """Of the error, one line; empty if it loads."""
    try:
        loads(data, **kwargs)
    except DemonstrationError as error:
        message = str(error)
    else:
        message = ""
    assert "\n" not in message
    return message


def assert_equal(left: Any, right: Any) -> None:
    if isinstance(right, np.ndarray):
        assert left.dtype == right.dtype.newbyteorder("=")
        np.testing.assert_array_equal(left, right)
    else:
        assert type(left) is type(right)
        assert left == right


# --- Honest pickles ----------------------------------------------------------------------------

PLAIN = [
    *(0, -1, 255, 2**70, 1.5, None, True, False, "text \u1234", b"", b"\x00\xff", ""),
    *([1, [2]], {"a": (1, 2, 3, 4), "b": ()}, {1, 2}, [{}] * 3),
    *(np.float32(0.1), np.int64(-3), np.bool_(True), np.float16(2)),
]


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("value", PLAIN, ids=repr)
def test_plain_values(value: Any, protocol: int) -> None:
    assert_equal(loads(pickle.dumps(value, protocol)), value)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_other_containers_become_plain_ones(protocol: int) -> None:
    pairs = [
        (collections.OrderedDict(a=1, b=[2]), {"a": 1, "b": [2]}),
        (collections.deque([1, 2], maxlen=5), [1, 2]),
        (bytearray(b"abc\xff"), b"abc\xff"),
        (frozenset([3]), {3}),
    ]
    for value, expected in pairs:
        assert loads(pickle.dumps(value, protocol)) == expected


DTYPES = [np.float32, np.float64, np.int64, np.int32, np.uint8, np.bool_, ">f4", ">i8"]


@given(
    array=st.sampled_from(DTYPES).flatmap(
        lambda dtype: hnp.arrays(dtype, hnp.array_shapes(min_dims=0, min_side=0, max_side=4))
    ),
    protocol=st.sampled_from(PROTOCOLS),
    turned=st.booleans(),
)
@settings(max_examples=200, deadline=None)
def test_numeric_arrays(array: np.ndarray, protocol: int, turned: bool) -> None:
    array = array.T if turned else array  # Fortran order
    assert_equal(loads(pickle.dumps(array, protocol)), array)


def test_an_array_in_neither_order() -> None:
    array = np.arange(24.0).reshape(2, 3, 4).transpose(1, 0, 2)
    for protocol in PROTOCOLS:
        assert_equal(loads(pickle.dumps(array, protocol)), array)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_object_arrays(protocol: int) -> None:
    array = np.empty((2, 2), dtype=object)
    array[0, 0], array[0, 1] = {"a": np.float64(1)}, np.arange(3)
    array[1, 0], array[1, 1] = [1.5], None
    loaded = loads(pickle.dumps(np.asfortranarray(array), protocol))
    assert loaded.shape == (2, 2)
    assert loaded[0, 0] == {"a": 1.0}
    assert_equal(loaded[0, 1], np.arange(3))
    assert loaded[1, 0] == [1.5]
    assert loaded[1, 1] is None


def test_an_object_in_many_places_is_read_once() -> None:
    array = np.arange(3.0)
    first, second = loads(pickle.dumps([array, array]))
    assert first is second
    assert_equal(first, array)


def test_names_of_both_numpys() -> None:
    data = pickle.dumps([np.arange(3.0), np.float32(2)], 2)
    old, new = b"numpy.core.multiarray", b"numpy._core.multiarray"
    assert (old in data) or (new in data)
    for name in (old, new):
        loaded = loads(data.replace(old, new).replace(new, name))
        assert_equal(loaded[0], np.arange(3.0))
        assert loaded[1] == 2


PYTHON_2 = (  # what Python 2.7 and NumPy 1.16 make of np.arange(2.0), protocol 2
    b"\x80\x02cnumpy.core.multiarray\n_reconstruct\nq\x01cnumpy\nndarray\nq\x02K\x00\x85U\x01b"
    b"\x87Rq\x03(K\x01K\x02\x85cnumpy\ndtype\nq\x04U\x02f8K\x00K\x01\x87Rq\x05(K\x03U\x01<NNNJ"
    b"\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89U\x10\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
    b"\x00\x00\x00\x00\xf0?tb."
)


def test_arrays_of_python_2() -> None:
    assert_equal(loads(PYTHON_2), np.arange(2.0))


def test_bools_are_nothing_but_true_and_false() -> None:
    data = pickle.dumps(np.array([False, True]), 4)
    assert data.count(b"C\x02\x00\x01") == 1
    loaded = loads(data.replace(b"C\x02\x00\x01", b"C\x02\x00\x07"))
    assert loaded.view(np.uint8).tolist() == [0, 1]


# --- Records -----------------------------------------------------------------------------------


class Thing:
    """A class that is never imported: its `__setstate__` must not run."""

    def __init__(self, value: int) -> None:
        self.value = value

    def __setstate__(self, state: Any) -> None:
        raise AssertionError("it was run")


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_records_keep_state(protocol: int) -> None:
    name = f"{__name__}.Thing"
    loaded = loads(pickle.dumps([Thing(3)], protocol), records=[name])[0]
    assert isinstance(loaded, Record)
    assert loaded.name == name
    assert loaded.get("value") == 3
    assert loaded.get("other") is None
    refused(pickle.dumps(Thing(3), protocol), f"names {name}")


def test_a_package_can_be_inert() -> None:
    data = pickle.dumps(np.random.default_rng(0))
    loaded = loads(data, inert=["numpy"])
    assert isinstance(loaded, Record)
    assert "numpy.random" in loaded.name
    refused(data, "names numpy.random")
    refused(hostile_reduce(), "names posix.mkdir", inert=["numpy", "posixpath"])


# --- Hostile pickles ---------------------------------------------------------------------------

TARGET = "/tmp/sb3_gail_ext-a-pickle-was-run"


class Malicious:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (TARGET,)


def hostile_reduce() -> bytes:
    return pickle.dumps(Malicious())


def text(value: str) -> bytes:
    return b"X" + struct.pack("<I", len(value)) + value.encode()


NDARRAY = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(K\x00tC\x01btR"  # stand-in
F8 = b"cnumpy\ndtype\n(" + text("f8") + b"K\x00K\x01tR"
OBJECTS = b"cnumpy\ndtype\n(" + text("O8") + b"K\x00K\x01tR"
AROUND = NDARRAY + b"(K\x01(K\x01t" + OBJECTS  # the beginning of an array with one object
MKDIR = b"cos\nmkdir\n"
PATH = text(TARGET)

NAMED = {
    "REDUCE": MKDIR + b"(" + PATH + b"tR.",
    "REDUCE of protocol 4": b"\x80\x04" + text("os") + text("mkdir") + b"\x93" + PATH + b"\x85R.",
    "NEWOBJ": b"\x80\x02" + MKDIR + b"(" + PATH + b"t\x81.",
    "NEWOBJ_EX": b"\x80\x04" + MKDIR + b"(" + PATH + b"t}\x92.",
    "OBJ": b"(" + MKDIR + PATH + b"o.",
    "INST": b"(" + PATH + b"ios\nmkdir\n.",
    "nested in a list": b"](K\x01" + MKDIR + b"(" + PATH + b"tRe.",
    "eval": b"cbuiltins\neval\n(" + text("1") + b"tR.",
    "exec of Python 2": b"c__builtin__\nexec\n(" + text("1") + b"tR.",
    "getattr": b"cbuiltins\ngetattr\n(" + text("a") + text("b") + b"tR.",
    "numpy.load": b"cnumpy\nload\n(" + PATH + b"tR.",
    "numpy.f2py": b"cnumpy.f2py.diagnose\nrun\n(tR.",
    "numpy's runstring": b"cnumpy.testing._private.utils\nrunstring\n(" + text("1") + b"}tR.",
    "a dotted attribute": b"\x80\x04" + text("numpy") + text("ndarray.tofile") + b"\x93.",
    "a stand-in's own attribute": b"cnumpy\nndarray.__init__\n(tR.",
    "our own module": b"csb3_gail_ext.demonstrations.formats.stand_ins\nRecord\n(tR.",
    "copyreg": b"ccopyreg\n__newobj__\n(tR.",
    "a subclass of ndarray": NDARRAY.replace(b"ndarray", b"matrix") + b".",
}


@pytest.fixture(autouse=True)
def _nothing_was_run() -> Any:
    yield
    assert not Path(TARGET).exists()


@pytest.mark.parametrize("data", NAMED.values(), ids=NAMED.keys())
def test_names_are_refused(data: bytes) -> None:
    refused(data, " names ", "arrays and plain containers only")


def test_the_pickle_is_a_real_threat(tmp_path: Path) -> None:
    data = NAMED["REDUCE"].replace(PATH, text(str(tmp_path / "executed")))
    pickle.loads(data)
    assert (tmp_path / "executed").exists()


def test_names_in_messages_are_harmless() -> None:
    refused(b"\x80\x04" + text("os\n\x1b[2J") + text("x" * 10_000) + b"\x93.", "names 'os\\n\\x1b")


INT64_MAX = b"\x8a\x08" + b"\xff" * 7 + b"\x7f"
BROKEN = {
    "nothing": b"",
    "no end": b"\x80\x04]",
    "bad opcode": b"\x80\x04\xfe.",
    "persistent id": b"Pid\n.",
    "binary persistent id": b"K\x01Q.",
    "extension code": b"\x80\x02\x82\x01.",
    "extension code, 4 bytes": b"\x80\x02\x84\x01\x00\x00\x00.",
    "out-of-band buffer": b"\x80\x05\x97.",
    "read-only buffer": b"\x80\x05C\x01a\x98.",
    "a string is called": text("a") + b"(tR.",
    "a list of arguments is no tuple": b"cnumpy\ndtype\n}R.",
    "BUILD of a dict": b"}}" + text("a") + b"K\x01sb.",
    "BUILD of a list": b"]" + b"}b.",
    "BUILD of a name": b"cnumpy\nndarray\n}b.",
    "BUILD of an array twice": pickle.dumps(np.arange(3.0), 2)[:-1] + b"(K\x01tb.",
    "APPEND to a dict": b"}K\x01a.",
    "APPEND to an array": NDARRAY + b"K\x01a.",
    "APPENDS to a string": text("a") + b"(K\x01e.",
    "SETITEM in a list": b"]K\x00K\x01s.",
    "SETITEM in a name": b"cnumpy\nndarray\n" + text("a") + b"K\x01s.",
    "ADDITEMS to a list": b"\x80\x04](K\x01\x90.",
    "an odd dict": b"(K\x01d.",
    "unhashable key": b"}]K\x01s.",
    "nested key": b"}((ttK\x01s.",
    "long key": b"}" + text("a" * 2000) + b"K\x01s.",
    "large key": b"}\x8a\x09" + b"\x01" * 9 + b"K\x01s.",
    "unknown memo": b"h\x07.",
    "unknown text memo": b"g-5\n.",
    "empty stack": b".",
    "no mark": b"e.",
    "huge int": b"I" + b"9" * 5000 + b"\n.",
    "negative LONG4": b"\x80\x02\x8b\xff\xff\xff\xff.",
    "LONG_BINPUT of 2**31": b"\x80\x02K\x01r\xff\xff\xff\x7f",
    "BYTEARRAY8 of 2**40": b"\x80\x05\x96" + struct.pack("<Q", 2**40) + b"abc.",
    "BINBYTES8 of 2**63": b"\x80\x04\x8e" + struct.pack("<Q", 2**63) + b"abc.",
    "BINUNICODE8 of 2**40": b"\x80\x04\x8d" + struct.pack("<Q", 2**40) + b"abc.",
    "FRAME and nothing": b"\x80\x04\x95" + struct.pack("<Q", 2**62),
    "bytes in another encoding": b"c_codecs\nencode\n(" + text("a") + text("zip") + b"tR.",
    "shape larger than its bytes": NDARRAY + b"(K\x01(K\x09t" + F8 + b"\x89C\x08aaaaaaaatb.",
    "shape smaller than its bytes": NDARRAY + b"(K\x01(K\x00t" + F8 + b"\x89C\x08aaaaaaaatb.",
    "gigantic shape": NDARRAY + b"(K\x01(" + INT64_MAX * 3 + b"t" + F8 + b"\x89C\x08aaaaaaaatb.",
    "negative shape": NDARRAY + b"(K\x01(I-1\nI-1\nt" + F8 + b"\x89C\x08aaaaaaaatb.",
    "shape of floats": NDARRAY + b"(K\x01(F1.0\nt" + F8 + b"\x89C\x08aaaaaaaatb.",
    "shape of bools": NDARRAY + b"(K\x01(\x88t" + F8 + b"\x89C\x08aaaaaaaatb.",
    "shape that is a list": NDARRAY + b"(K\x01]K\x01a" + F8 + b"\x89C\x08aaaaaaaatb.",
    "33 dimensions": NDARRAY + b"(K\x01(" + b"K\x01" * 33 + b"t" + F8 + b"\x89C\x08aaaaaaaatb.",
    "objects out of bytes": NDARRAY + b"(K\x01(K\x01t" + OBJECTS + b"\x89C\x08aaaaaaaatb.",
    "numbers out of a list": NDARRAY + b"(K\x01(K\x01t" + F8 + b"\x89(K\x01ltb.",
    "too few objects": NDARRAY + b"(K\x01(K\x09t" + OBJECTS + b"\x89(K\x01ltb.",
    "a dtype with fields": NDARRAY
    + b"(K\x01(K\x01t"
    + F8
    + b"(K\x03X\x01\x00\x00\x00<N(tNtb\x89C\x08aaaaaaaatb.",
    "a dtype that is text": NDARRAY + b"(K\x01(K\x01t" + text("f8") + b"\x89C\x08aaaaaaaatb.",
    "a dtype NumPy would parse": pickle.dumps(np.arange(2.0), 2).replace(
        text("f8"), text("f8,(999999999,)f8")
    ),
    "structured": pickle.dumps(np.zeros(2, dtype=[("a", "f8")])),
    "strings": pickle.dumps(np.array(["a"])),
    "dates": pickle.dumps(np.array(["2020-01-01"], "M8[D]")),
    "complex": pickle.dumps(np.array([1j])),
    "an array of objects in another": AROUND + b"\x89(" + AROUND + b"\x89(Nltbltb.",
}


@pytest.mark.parametrize("data", BROKEN.values(), ids=BROKEN.keys())
def test_damage_ends_in_one_line(data: bytes) -> None:
    refused(data)


def test_every_registered_extension_is_refused() -> None:
    copyreg.add_extension("os", "mkdir", 240)
    try:
        refused(b"\x80\x02\x82\xf0(" + PATH + b"tR.")
    finally:
        copyreg.remove_extension("os", "mkdir", 240)


# --- Pickles that would take for ever, all the memory, or the stack ------------------------------


def test_nested_tuples_are_never_hashed_or_shown() -> None:
    nested = b")" + b"2\x86" * 60  # of 2**60 empty tuples
    refused(b"}" + nested + b"K\x01s.", "tuple")
    refused(NDARRAY + b"(K\x01" + nested + F8 + b"\x89C\x08aaaaaaaatb.")
    refused(NDARRAY + b"(K\x01(K\x01t" + b"cnumpy\ndtype\n" + nested + b"\x85R\x89C\x08aaaaaaaatb.")


def test_bytes_are_not_multiplied() -> None:
    one = b"h\x01h\x02R0"
    head = b"\x80\x02c_codecs\nencode\nq\x01" + text("a" * 100_000) + text("latin1") + b"\x86q\x02"
    assert loads(head + b"0" + one * 2 + b"N.") is None
    refused(head + one * 20_000 + b"N.", "again and again")


CALLED = b"cbuiltins\nset\n)R"


@pytest.mark.parametrize(
    "opcode", [b"\x8f", b"(K\x01\x91", CALLED], ids=["sets", "frozen", "called"]
)
def test_many_sets_are_too_many(opcode: bytes) -> None:
    assert loads(opcode * 100_000 + b".") is not None
    refused(opcode * 100_001 + b".", "more sets")


@pytest.mark.parametrize("opcode", [b"}", b"(", b"K\x01\x94", b"]"])
def test_many_objects_are_too_many(monkeypatch: pytest.MonkeyPatch, opcode: bytes) -> None:
    monkeypatch.setattr("sb3_gail_ext.demonstrations.formats.unpickler._MOST_INSTRUCTIONS", 100_000)
    refused(opcode * 100_001 + b".", "too many Python objects")


DEEP = {
    "tuples": (b"", b"\x85"),
    "lists": (b"(", b"l"),
    "dicts": (b"}K\x01", b"s"),
    "records": (b"c__main__\nA\n)R", b"b"),
    "arguments": (b"c__main__\nA\n(", b"tR"),
    "arrays in lists": (AROUND + b"\x89((", b"lltb"),
}


@pytest.mark.parametrize(("before", "after"), DEEP.values(), ids=DEEP.keys())
def test_deep_nesting_is_freed_without_a_crash(before: bytes, after: bytes) -> None:
    depth = 20_000
    value = loads(before * depth + b"N" + after * depth + b".", records=["__main__.A"])
    assert value is not None
    del value


def test_reading_a_million_infos_takes_seconds() -> None:
    start = time.process_time()
    infos = loads(pickle.dumps(np.full(300_000, {}, dtype=object)))
    assert infos.shape == (300_000,)
    assert time.process_time() - start < 3


def test_mutated_pickles_load_or_end_in_one_line() -> None:
    episode = {"obs": np.arange(6.0).reshape(3, 2), "infos": [{"a": np.float32(1)}, None]}
    value = [np.array([episode, [1.5, "x"]], dtype=object), {1, 2}, b"bytes", Thing(1)]
    originals = [pickle.dumps(value, protocol) for protocol in PROTOCOLS]
    names = [f"{__name__}.Thing"]
    rng = random.Random(0)
    loaded = 0
    for _ in range(2_000):
        data = bytearray(rng.choice(originals))
        for _ in range(rng.randint(1, 4)):
            place = rng.randrange(len(data))
            what = rng.randrange(3)
            if what == 0:
                data[place] = rng.randrange(256)
            elif what == 1:
                del data[place : place + rng.randint(1, 8)]
            else:
                data[place:place] = rng.randbytes(rng.randint(1, 4))
        loaded += not message_of(bytes(data), records=names)
    assert 20 < loaded < 1_980


@given(data=st.binary(max_size=200))
@settings(max_examples=300, deadline=None)
def test_random_bytes_load_or_end_in_one_line(data: bytes) -> None:
    message_of(data)
    pickled_names(data)


# --- Names -------------------------------------------------------------------------------------


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_names_are_read_off_the_start(protocol: int) -> None:
    data = pickle.dumps([Thing(1), Malicious()], protocol)
    assert {f"{__name__}.Thing", f"{os.mkdir.__module__}.mkdir"} <= pickled_names(data)
    assert f"{__name__}.Thing" in pickled_names(data[: len(data) // 2 + 30])


def test_names_of_damaged_pickles() -> None:
    assert pickled_names(b"") == set()
    assert pickled_names(b"\x80\x04\xfe") == set()
    assert pickled_names(b"cos\nmkdir\n\xfe") == {"os.mkdir"}
    assert pickled_names(b"c\x1b[2J\nmkdir\n.") == set()
