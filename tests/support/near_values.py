"""Values of every type with minimal differences: one bit, a sign, a scale, a zone, a blank.

Values that a fingerprint must distinguish are best sought among neighbours. A
maker yields texts that its type's input function takes; their neighbours come right after each
other. Nothing here knows how windlass hashes."""

from __future__ import annotations

import random
import struct
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice

from composed_values import Maker, Random, multiranges_of, ranges_of

FOLDED = 0x1_0000_0001  # a difference of both halves, which a hash of 64 bits as 32 does not see


def near_values(seed: str, maker: Maker, count: int) -> list[str]:
    """So many different texts at most, the same for the same seed."""
    found = dict.fromkeys(islice(maker(random.Random(seed)), count * 4))
    return list(islice(found, count))


def _integers(bits: int, *, signed: bool = True) -> Maker:
    low = -(1 << bits - 1) if signed else 0
    high = (1 << bits - 1) - 1 if signed else (1 << bits) - 1

    def make(source: Random) -> Iterator[str]:
        yield from map(str, (0, low, high, 1, high - 1, low + 1))
        while True:
            base = source.choice((source.randint(low, high), source.randint(0, 1000)))
            bit = 1 << source.randrange(bits)
            near = (base, -base, base + 1, base - 1, base ^ bit, ~base)
            folded = (base ^ FOLDED * source.randint(1, 1 << 30), base + (1 << 32), -base - 1)
            yield from (str(one) for one in (*near, *folded) if low <= one <= high)

    return make


def _numerics(source: Random) -> Iterator[str]:
    yield from ("0", "0.0", "0.00", "NaN", "1", "1.0", "1.00", "-1", "-1.0", "10", "1e-20", "1e20")
    while True:
        digits = "".join(source.choices("0123456789", k=source.choice((1, 4, 8, 20, 60))))
        at = source.randrange(len(digits) + 1)
        whole, fraction = digits[:at] or "0", digits[at:] or "0"
        for text in (f"{whole}.{fraction}", f"{whole}.{fraction}0", f"{whole}0.{fraction}"):
            yield text
            yield f"-{text}"
        yield f"{whole}.0000{fraction}"
        yield f"{whole}.{fraction}1"
        yield f"{digits}0000"
        yield f"{digits}00000000"


def _floats(form: str) -> Maker:
    size = struct.calcsize(form)

    def make(source: Random) -> Iterator[str]:
        yield from ("0", "-0", "NaN", "Infinity", "-Infinity", "1", "-1")
        while True:
            raw = source.getrandbits(size * 8)
            near = (raw, raw ^ 1, raw ^ 1 << size * 8 - 1, raw ^ 1 << source.randrange(23))
            for bits in near:
                (value,) = struct.unpack(form, bits.to_bytes(size, "little"))
                if value == value:  # a NaN's other bits are no value
                    yield repr(value) if size == 8 else f"{value:.9g}"

    return make


_CHARACTERS = "aAbBäÄéßıIİſsSK\u212akﬁ0 .,;:'\"\\{}()[]<>|&!*\t\n\u00a0\u200b\u0301\U0001f600"


def _texts(source: Random) -> Iterator[str]:
    yield from ("", " ", "  ", "NULL", "null", "\\N", "\\", '"', "é", "e\u0301", "a", "a ", "A")
    while True:
        base = "".join(source.choices(_CHARACTERS, k=source.choice((1, 2, 5, 40))))
        yield from (base, base + " ", " " + base, base.swapcase(), base + base[-1], base[:-1])
        yield base[::-1]
        at = source.randrange(len(base))
        yield base[:at] + source.choice(_CHARACTERS) + base[at + 1 :]


def _padded(width: int) -> Maker:
    def make(source: Random) -> Iterator[str]:
        return (text[:width] for text in _texts(source))

    return make


def _bytes(source: Random) -> Iterator[str]:
    yield from ("\\x", "\\x00", "\\x0000", "\\x20", "\\x2020")
    while True:
        base = source.randbytes(source.choice((1, 4, 8, 9, 40)))
        bits = int.from_bytes(base, "big") ^ 1 << source.randrange(len(base) * 8)
        near = (base, base + b"\0", b"\0" + base, base[::-1], bits.to_bytes(len(base), "big"))
        yield from (f"\\x{one.hex()}" for one in near)


def _bits(width: int | None) -> Maker:
    def make(source: Random) -> Iterator[str]:
        while True:
            base = "".join(source.choices("01", k=width or source.choice((1, 7, 8, 9, 40))))
            at = source.randrange(len(base))
            yield from (base, base[::-1], base[:at] + "10"[int(base[at])] + base[at + 1 :])
            if width is None:
                yield from (base + "0", "0" + base, base[:-1])

    return make


def _uuids(source: Random) -> Iterator[str]:
    while True:
        base = source.getrandbits(128)
        for bits in (base, base ^ 1, base ^ 1 << source.randrange(128), base ^ FOLDED << 64):
            yield str(uuid.UUID(int=bits))


_MICROSECONDS = 1 << 53
_START = datetime(2000, 1, 1)


def _moments(source: Random) -> Iterator[datetime]:
    """Whose microseconds since 2000, as a server holds them, differ in a bit, or in two halves."""
    while True:
        base = source.choice((source.randrange(_MICROSECONDS), source.randrange(1 << 20)))
        near = (base, base + 1, base ^ 1 << source.randrange(50))
        folded = (base ^ FOLDED * source.randint(1, 1 << 20), base ^ FOLDED)
        yield from (_START + timedelta(microseconds=one) for one in (*near, *folded))


def _timestamps(source: Random) -> Iterator[str]:
    yield from ("infinity", "-infinity", "0044-03-15 00:00:00 BC", "2000-01-01", "1999-12-31")
    yield from (f"{one:%Y-%m-%d %H:%M:%S.%f}".zfill(26) for one in _moments(source))


def _timestamps_in_zones(source: Random) -> Iterator[str]:
    for one in _timestamps(source):
        yield one
        if ":" in one and "BC" not in one:
            yield one + source.choice(("+01", "-05:30", "+00"))


def _dates(source: Random) -> Iterator[str]:
    yield from ("infinity", "-infinity", "0001-01-01", "0001-01-01 BC", "5874897-12-31")
    for one in _moments(source):
        yield f"{one:%Y-%m-%d}".zfill(10)
        yield f"{one:%Y-%m-%d}".zfill(10) + " BC"


def _times(source: Random) -> Iterator[str]:
    yield from ("00:00:00", "24:00:00", "23:59:59.999999", "00:00:00.000001")
    while True:
        base = source.randrange(86_400_000_000)
        near = (base, base + 1, base ^ 1 << source.randrange(36), base ^ FOLDED * 3, base ^ FOLDED)
        for one in near:
            if one < 86_400_000_000:
                yield f"{datetime.fromtimestamp(one / 1e6, UTC):%H:%M:%S}.{one % 1_000_000:06}"


def _times_in_zones(source: Random) -> Iterator[str]:
    for one in _times(source):
        hour = int(one[:2])
        yield f"{one}+00"
        if 0 < hour < 23:  # the same moment in other zones
            yield f"{hour - 1:02}{one[2:]}-01"
            yield f"{hour + 1:02}{one[2:]}+01"
        yield f"{one}+00:00:01"


def _intervals(source: Random) -> Iterator[str]:
    yield from ("0", "1 mon", "30 days", "720:00:00", "1 day", "24:00:00", "-1 day +24:00:00")
    while True:
        months, days = source.randint(-500, 500), source.randint(-90, 90)
        micro = source.randint(-(10**12), 10**12)
        for m, d, t in (
            (months, days, micro),
            (months - 1, days + 30, micro),
            (months, days - 1, micro + 86_400_000_000),
            (months, days, micro + 1),
            (-months, -days, -micro),
        ):
            seconds, rest = divmod(abs(t), 1_000_000)  # before 15 no field takes more than 32 bits
            yield f"{m} mons {d} days {'-' if t < 0 else ''}{seconds}.{rest:06} seconds"


def _networks(*, hosts: bool) -> Maker:
    """`hosts`: bits right of the mask may be set."""

    def make(source: Random) -> Iterator[str]:
        while True:
            for width in (32, 128):
                bits, mask = source.getrandbits(width), source.randint(1, width)
                for value, length in (
                    (bits, mask),
                    (bits, mask - 1),
                    (bits ^ 1 << width - 1, mask),
                    (bits ^ 1 << source.randrange(width), mask),
                ):
                    value = value if hosts else value >> width - length << width - length
                    yield f"{_address(value, width)}/{length}"

    return make


def _address(value: int, width: int) -> str:
    if width == 32:
        return ".".join(str(byte) for byte in value.to_bytes(4, "big"))
    return ":".join(f"{value >> 16 * at & 0xFFFF:x}" for at in reversed(range(8)))


def _hardware(length: int) -> Maker:
    def make(source: Random) -> Iterator[str]:
        while True:
            base = source.getrandbits(length * 8)
            near = (base, base ^ 1, base ^ 1 << source.randrange(length * 8))
            for bits in (*near, (base ^ FOLDED) % (1 << length * 8)):
                yield bits.to_bytes(length, "big").hex(":")

    return make


def _json(source: Random) -> Iterator[str]:
    yield from ("{}", "[]", "null", '"null"', "0", "0.0", "-1", "1", '"1"', "[[]]", '{"":{}}')
    while True:
        a, b = source.choice("abc"), source.randint(0, 99)
        yield f'{{"{a}": {{"b": {b}}}, "d": 2}}'
        yield f'{{"{a}": {{"b": {b}, "d": 2}}}}'
        yield f'{{"{a}": [{b}, [2]]}}'
        yield f'{{"{a}": [[{b}], 2]}}'
        yield f'{{"{a}": {b}.0}}'
        yield f'{{"{a}": {b}.00}}'
        yield f'{{"{a}": -{b}.5}}'
        yield f'{{"{a}": "{b}"}}'
        yield f'{{"{a}" : "{b}"}}'


def _points(source: Random) -> Iterator[tuple[str, str]]:
    numbers = _floats("<d")(source)
    while True:
        x, y = (next(one for one in numbers if one[-1].isdigit()) for _ in "xy")
        yield from ((x, y), (y, x), (x, "0"), (x, "-0"), ("-0", y), (x, "1"))


def _shape(form: str, *, points: int = 2) -> Maker:
    """`form` has {0}, {1} and so on for points."""

    def make(source: Random) -> Iterator[str]:
        made = _points(source)
        held = [f"({x},{y})" for x, y in islice(made, points)]
        while True:
            held[source.randrange(points)] = "({},{})".format(*next(made))
            yield form.format(*held)
            yield form.format(*reversed(held))

    return make


def _circles(source: Random) -> Iterator[str]:
    for (x, y), radius in zip(_points(source), _floats("<d")(source), strict=False):
        size = radius.lstrip("-")
        if size[-1].isdigit():
            yield f"<({x},{y}),{size}>"
            yield f"<({y},{x}),{size}>"


def _lines(source: Random) -> Iterator[str]:
    for x, y in _points(source):
        yield f"{{1,{x},{y}}}"
        yield f"{{-1,{x},{y}}}"


def _chosen(*words: str) -> Maker:
    def make(source: Random) -> Iterator[str]:
        yield from words
        while True:
            yield source.choice(words)

    return make


def _lsns(source: Random) -> Iterator[str]:
    for text in _integers(64, signed=False)(source):
        yield f"{int(text) >> 32:X}/{int(text) & 0xFFFFFFFF:X}"


def _snapshots(source: Random) -> Iterator[str]:
    while True:
        low = source.randint(1, 1 << 40)
        running = f"{low},{low + 2}"
        yield from (f"{low}:{low + 9}:{running}", f"{low}:{low + 9}:", f"{low}:{low + 8}:{running}")
        yield f"{low}:{low + 9}:{low}"


def _places(source: Random) -> Iterator[str]:
    while True:
        block, line = source.getrandbits(32), source.getrandbits(16)
        yield from (f"({block},{line})", f"({block},{line ^ 1})", f"({block ^ 1},{line})")
        yield f"({line},{block & 0xFFFF})"


def _money(source: Random) -> Iterator[str]:
    for text in _integers(62)(source):
        yield f"{int(text) // 100}.{abs(int(text)) % 100:02}"


def _single_characters(source: Random) -> Iterator[str]:
    yield ""
    while True:
        yield chr(source.randint(1, 126))


def _vectors(source: Random) -> Iterator[str]:
    while True:
        a, at = source.choice("abc"), source.randint(1, 99)
        yield from (f"{a}:{at}", f"{a}:{at}A", f"{a}:{at}B", f"{a}:{at},{at + 1}", f"{a}", f"{a} d")
        yield f"{a}:{at} d:{at}"
        yield f"{a.upper()}:{at}"


def _queries(source: Random) -> Iterator[str]:
    while True:
        a, b = source.choice("abc"), source.choice("def")
        yield from (f"{a} & {b}", f"{a} | {b}", f"{b} & {a}", f"!{a} & {b}", f"{a} <-> {b}")
        yield from (f"{a} <2> {b}", f"{a}:* & {b}", f"{a}:A & {b}", f"{a}", f"!!{a}")


def _paths(source: Random) -> Iterator[str]:
    while True:
        a, n = source.choice("abc"), source.randint(0, 9)
        yield from (f"$.{a}", f"$.{a}[{n}]", f"$.{a}.*", f"strict $.{a}", f"$.{a} ? (@ > {n})")
        yield f"$.{a} ? (@ >= {n})"


def _small_vectors(source: Random) -> Iterator[str]:
    while True:
        some = [str(source.randint(0, 99)) for _ in range(source.randint(1, 4))]
        yield from (" ".join(some), "".join(some)[:4], " ".join(reversed(some)))
        yield " ".join([*some, "0"])


def _finite(maker: Maker, *without: str) -> Maker:
    """Without what has no order, or sorts otherwise as text."""

    def make(source: Random) -> Iterator[str]:
        return (one for one in maker(source) if not any(word in one for word in without))

    return make


_MOMENTS = _finite(_timestamps, "inf", "BC")
_INSTANTS = _finite(_timestamps, "inf", "BC")
_DAYS = _finite(_dates, "inf", "BC", "5874897")
_NUMBERS = _finite(_numerics, "NaN")

RANGES: dict[str, tuple[Maker, Callable[[str], object]]] = {
    "int4": (_integers(31), int),
    "int8": (_integers(63), int),
    "num": (_NUMBERS, float),
    "ts": (_MOMENTS, str),
    "tstz": (_INSTANTS, str),
    "date": (_DAYS, str),
}

# By pg_type.typname. Arrays are made of these by `arrays_of`.
MAKERS: dict[str, Maker] = {
    "aclitem": _chosen("=r/postgres", "=w/postgres", "postgres=r/postgres", "postgres=r*/postgres"),
    "bit": _bits(9),
    "bool": _chosen("t", "f"),
    "box": _shape("{0},{1}"),
    "bpchar": _finite(_texts, "\\"),
    "bytea": _bytes,
    "char": _single_characters,
    "cid": _integers(32, signed=False),
    "cidr": _networks(hosts=False),
    "circle": _circles,
    "date": _dates,
    "float4": _floats("<f"),
    "float8": _floats("<d"),
    "inet": _networks(hosts=True),
    "int2": _integers(16),
    "int2vector": _small_vectors,
    "int4": _integers(32),
    "int8": _integers(64),
    "interval": _intervals,
    "json": _json,
    "jsonb": _json,
    "jsonpath": _paths,
    "line": _lines,
    "lseg": _shape("[{0},{1}]"),
    "macaddr": _hardware(6),
    "macaddr8": _hardware(8),
    "money": _money,
    "name": _padded(40),
    "numeric": _numerics,
    "oid": _integers(32, signed=False),
    "oidvector": _small_vectors,
    "path": _shape("[{0},{1},{2}]", points=3),
    "pg_lsn": _lsns,
    "pg_snapshot": _snapshots,
    "point": _shape("{0}", points=1),
    "polygon": _shape("({0},{1},{2})", points=3),
    "refcursor": _texts,
    "regclass": _chosen("pg_class", "pg_type", "pg_proc"),
    "regcollation": _chosen('"C"', '"POSIX"', '"default"'),
    "regconfig": _chosen("simple", "english", "german"),
    "regdictionary": _chosen("simple", "english_stem", "german_stem"),
    "regnamespace": _chosen("pg_catalog", "public", "information_schema"),
    "regoper": _chosen("pg_catalog.||/", "pg_catalog.|/"),
    "regoperator": _chosen("+(integer,integer)", "-(integer,integer)", "+(bigint,bigint)"),
    "regproc": _chosen("int4pl", "int4mi", "int8pl"),
    "regprocedure": _chosen("abs(integer)", "abs(bigint)", "abs(numeric)"),
    "regrole": _chosen("postgres", "pg_monitor", "pg_read_all_stats"),
    "regtype": _chosen("integer", "bigint", "smallint"),
    "text": _texts,
    "tid": _places,
    "time": _times,
    "timestamp": _timestamps,
    "timestamptz": _timestamps_in_zones,
    "timetz": _times_in_zones,
    "tsquery": _queries,
    "tsvector": _vectors,
    "txid_snapshot": _snapshots,
    "uuid": _uuids,
    "varbit": _bits(None),
    "varchar": _texts,
    "xid": _integers(32, signed=False),
    "xid8": _integers(64, signed=False),
    "xml": _chosen("<a/>", "<a></a>", "<a />", "<a>1</a>", "<a>1 </a>", "x", "x "),
    **{f"{name}range": ranges_of(*of) for name, of in RANGES.items()},
    **{f"{name}multirange": multiranges_of(*of) for name, of in RANGES.items()},
}

# Their input functions take nothing: only catalogs and index pages hold them.
WITHOUT_INPUT = {
    "gtsvector", "pg_brin_bloom_summary", "pg_brin_minmax_multi_summary", "pg_dependencies",
    "pg_mcv_list", "pg_ndistinct", "pg_node_tree",
}  # fmt: skip
