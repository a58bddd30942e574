"""Changes to files: of bytes, and of what they mean.

``mutate(rng, name, content, others)`` gives other bytes for the file ``name``: by its ending it is
taken apart, changed within, and put together again with right lengths and checksums, so that the
change gets past the first look of a reader; or its bytes are changed as they are.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import io
import json
import random
import re
import struct
import zipfile
import zlib
from collections.abc import Callable, Sequence
from typing import Any

Mutator = Callable[[random.Random, bytes, Sequence[bytes]], bytes]

WHOLE = (
    0, 1, -1, 2, 7, 100, 127, 128, 255, 256, 32767, 65535, 65536, 2**31 - 1, 2**31, 2**32 - 1,
    2**32, 2**53, 2**63 - 1, 2**63, 2**64 - 1, -(2**31), -(2**63), 10**9, 10**18, 10**30,
)  # fmt: skip
NUMBERS = (b"-0", b"1e400", b"1e308", b"-1e308", b"1e-320", b"0.1", b"NaN", b"Infinity", b"1_0",
           b"0x10", b"1e", b"--1", "٣".encode(), b"1" * 400)  # fmt: skip
WORDS = (
    b"", b"\0", b"\r", b"\n", b'"', b"'", b",", b";", b"\t", b"\\", b"../../etc/passwd",
    b"/dev/zero", b"C:\\x", b"CON", b"__proto__", b"<script>alert(1)</script>", b"\xff\xfe",
    b"\xed\xa0\x80", "e\u0301".encode(), "\u202e".encode(), "\U0001f600".encode(),
    b"os.system", b"%s%n", b"{}", b"=cmd|x",
    b"x" * 4096, b"-rf", b"NaN", b"null", b"true", b"[[", b"\x1b[31m",
)  # fmt: skip


def _odd(rng: random.Random, depth: int = 0) -> Any:
    """A JSON value that nobody expects."""
    kind = rng.randrange(12 if depth < 3 else 8)
    if kind == 0:
        return rng.choice(WHOLE)
    if kind == 1:
        return rng.choice([0.0, -0.0, 1e308, -1e308, 1e-320, 0.5, -1.5, 1e16])
    if kind == 2:
        return rng.choice([True, False, None])
    if kind == 3:
        return rng.choice(WORDS).decode(errors="replace")
    if kind == 4:
        return rng.choice(["", "linear", "mlp", "constant", "x", "0", "\ud800", "\0", "number"])
    if kind == 5:
        return [float("nan"), float("inf"), -float("inf")][rng.randrange(3)]
    if kind == 6:
        return []
    if kind == 7:
        return {}
    if kind == 8:
        return [_odd(rng, depth + 1) for _ in range(rng.randrange(4))]
    if kind == 9:
        return {str(_odd(rng, 3))[:50]: _odd(rng, depth + 1) for _ in range(rng.randrange(4))}
    if kind == 10:
        return [rng.choice(WHOLE)] * rng.choice([1, 3, 100])
    value: Any = 0
    for _ in range(rng.choice([3, 90, 99, 101, 300])):
        value = [value] if rng.random() < 0.5 else {"a": value}
    return value


def _places(value: Any) -> list[tuple[Any, Any]]:
    """Every place in a JSON value, as its holder and its key."""
    found: list[tuple[Any, Any]] = []
    waiting = [value]
    while waiting:
        holder = waiting.pop()
        keys = holder.keys() if isinstance(holder, dict) else range(len(holder))
        for key in keys:
            found.append((holder, key))
            if isinstance(holder[key], (dict, list)):
                waiting.append(holder[key])
    return found


def change(rng: random.Random, value: Any) -> Any:
    """``value``, changed in place at one to three places."""
    for _ in range(rng.choice([1, 1, 1, 2, 3])):
        places = _places(value) if isinstance(value, (dict, list)) else []
        if not places:
            return _odd(rng)
        holder, key = rng.choice(places)
        kind = rng.randrange(9)
        if kind <= 3:
            holder[key] = _odd(rng)
        elif kind == 4:
            del holder[key]
        elif kind == 5 and isinstance(holder, dict):
            holder[str(_odd(rng, 3))[:100]] = holder.pop(key)
        elif kind == 6:
            other, place = rng.choice(places)
            if (isinstance(other, dict) and place in other) or (
                isinstance(other, list) and place < len(other)
            ):
                holder[key] = json.loads(json.dumps(other[place]))
        elif kind == 7 and isinstance(holder, list):
            holder.insert(key, json.loads(json.dumps(holder[key])))
        elif kind == 7:
            holder[rng.choice(["os.system", "extra", "", "__class__", "format"])] = _odd(rng)
        elif isinstance(holder[key], bool) or not isinstance(holder[key], (int, float)):
            holder[key] = [holder[key]]
        else:
            holder[key] = rng.choice([-1, 0, 1, 0.5, 2, 1e300, 2**40]) * (rng.random() < 0.8)
    return value


def _text(rng: random.Random, value: Any) -> bytes:
    """JSON as bytes, now and then with a key twice, or a number out of range."""
    text = json.dumps(value, ensure_ascii=rng.random() < 0.5)
    if rng.random() < 0.05:
        text = re.sub(r'("\w+": [\d.]+)', r"\1, \1", text, count=1)
    if rng.random() < 0.05:
        text = re.sub(r"\d+", rng.choice(["1e400", "-1e400", "9" * 5000]), text, count=1)
    return text.encode(errors="surrogatepass")


def as_json(rng: random.Random, content: bytes, others: Sequence[bytes]) -> bytes:
    return _text(rng, change(rng, json.loads(content)))


def as_lines(rng: random.Random, content: bytes, others: Sequence[bytes]) -> bytes:
    """Of JSON a line: lines changed, lost, twice, in another order, or much of one."""
    lines = content.splitlines(keepends=True) or [b"\n"]
    for _ in range(rng.choice([1, 1, 2, 5])):
        at, kind = rng.randrange(len(lines)), rng.randrange(6)
        if kind <= 2:
            try:
                lines[at] = _text(rng, change(rng, json.loads(lines[at]))) + b"\n"
            except ValueError:
                lines[at] = b"\n"
        elif kind == 3 and len(lines) > 1:
            del lines[at]
        elif kind == 4:
            lines[at:at] = [lines[rng.randrange(len(lines))]] * rng.choice([1, 2, 50])
        else:
            other = rng.randrange(len(lines))
            lines[at], lines[other] = lines[other], lines[at]
    return b"".join(lines)


def as_text(rng: random.Random, content: bytes, others: Sequence[bytes]) -> bytes:
    """Lines and values of text: lost, twice, moved, or another value in their place."""
    for _ in range(rng.choice([1, 1, 2, 4])):
        kind = rng.randrange(7)
        if kind <= 2:
            spans = [m.span() for m in re.finditer(rb"[^,;|\t\n=\[\]\"' ]+", content)]
            if not spans:
                return content
            start, end = rng.choice(spans)
            number = str(rng.choice(WHOLE)).encode()
            new = rng.choice([number, rng.choice(NUMBERS), rng.choice(WORDS)])
            content = content[:start] + new + content[end:]
        elif kind <= 5:
            lines = content.splitlines(keepends=True) or [b""]
            at, other = rng.randrange(len(lines)), rng.randrange(len(lines))
            if kind == 3:
                del lines[at]
            elif kind == 4:
                lines[at:at] = [lines[other]] * rng.choice([1, 1, 30])
            else:
                lines[at], lines[other] = lines[other], lines[at]
            content = b"".join(lines)
        else:
            place = rng.randrange(len(content) + 1)
            content = content[:place] + rng.choice(WORDS) + content[place:]
    return content


def as_bytes(rng: random.Random, content: bytes, others: Sequence[bytes]) -> bytes:
    """Bits and bytes changed, blocks lost, twice or taken from another, numbers in binary."""
    new = bytearray(content)
    for _ in range(rng.choice([1, 1, 1, 2, 3, 8])):
        size = len(new)
        at, kind = rng.randrange(size + 1), rng.randrange(9)
        span = rng.choice([1, 2, 4, 8, 16, 64, 512])
        if kind == 0 and size:
            new[at % size] ^= 1 << rng.randrange(8)
        elif kind == 1 and size:
            new[at % size] = rng.choice([0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256)])
        elif kind == 2:
            del new[at:]
        elif kind == 3:
            del new[at : at + span]
        elif kind == 4:
            new[at:at] = rng.randbytes(span)
        elif kind == 5:
            new[at:at] = new[at : at + span] * rng.choice([1, 2, 20])
        elif kind == 6:
            form, value = rng.choice("BHIQ"), rng.choice(WHOLE)
            code = rng.choice("<>") + form
            new[at : at + struct.calcsize(code)] = struct.pack(
                code, value % (1 << (8 * struct.calcsize(code)))
            )
        elif kind == 7 and others:
            other = rng.choice(others)
            start = rng.randrange(len(other) + 1)
            new[at : at + span] = other[start : start + span]
        else:
            new[at : at + span] = bytes(len(new[at : at + span]))
    return bytes(new)


def at_the_ends(rng: random.Random, content: bytes, others: Sequence[bytes]) -> bytes:
    """Bytes changed where formats have their sizes: in the first 64, or the last 512."""
    if rng.random() < 0.5:
        return as_bytes(rng, content[:64], others)[:80] + content[64:]
    return content[:-512] + as_bytes(rng, content[-512:], others)


def as_gzip(rng: random.Random, content: bytes, others: Sequence[bytes]) -> bytes:
    inner = gzip.decompress(content)
    return gzip.compress(rng.choice([as_bytes, at_the_ends, as_text])(rng, inner, others), 1)


def as_safetensors(rng: random.Random, content: bytes, others: Sequence[bytes]) -> bytes:
    """Its header, its manifest (signed anew, mostly), or its tensors are changed."""
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    body = bytearray(content[8 + length :])
    kind = rng.randrange(8)
    manifest = header.get("__metadata__", {}).get("linnet")
    if kind <= 4 and manifest is not None:
        plain = json.loads(manifest)
        if rng.random() < 0.9:
            plain = change(rng, plain)
        if kind == 4:
            for _ in range(rng.choice([1, 4])):
                at = rng.randrange(max(1, len(body) // 4)) * 4
                body[at : at + 4] = struct.pack("<f", rng.choice([float("nan"), 1e38, -1e38, 0.0]))
        text = _text(rng, plain).decode(errors="surrogatepass")
        try:
            if isinstance(plain.get("provenance"), dict):
                plain["provenance"].pop("sha256", None)
                digest = hashlib.sha256(_canonical(plain))
                for name in sorted(key for key in header if key != "__metadata__"):
                    begin, end = header[name]["data_offsets"]
                    digest.update(name.encode() + b"\0")
                    digest.update(body[begin:end])
                plain["provenance"]["sha256"] = digest.hexdigest()
                text = _canonical(plain).decode()
        except (ValueError, AttributeError):
            pass
        header["__metadata__"]["linnet"] = text
    elif kind <= 6:
        header = change(rng, header)
    else:
        return as_bytes(rng, content, others)
    packed = _text(rng, header)
    packed += b" " * (-len(packed) % 8)
    return len(packed).to_bytes(8, "little") + packed + bytes(body)


def _canonical(value: Any) -> bytes:
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"),
                      sort_keys=True)  # fmt: skip
    return text.encode()


def as_npy(rng: random.Random, content: bytes, others: Sequence[bytes]) -> bytes:
    """Its header's words and numbers are changed, and its length made right again."""
    length = int.from_bytes(content[8:10], "little")
    header, rest = content[10 : 10 + length], content[10 + length :]
    kinds = (b"<f8", b">f8", b"|O", b"<U3", b"|S4", b"<c8", b"<f2", b"<M8[ns]", b"|b1", b"<i8",
             b"|u1", b"<f16", b"|V8", b"<U99999999")  # fmt: skip
    kind = rng.randrange(4)
    if kind == 0:
        header = re.sub(rb"'[<>|=][a-zA-Z0-9]+'", b"'" + rng.choice(kinds) + b"'", header)
    elif kind == 1:
        shape = tuple(rng.choice(WHOLE) for _ in range(rng.randrange(4)))
        header = re.sub(rb"\([^)]*\)", str(shape).encode(), header)
    elif kind == 2:
        header = as_text(rng, header, others)
    else:
        rest = as_bytes(rng, rest, others)
    return content[:8] + (len(header) & 0xFFFF).to_bytes(2, "little") + header + rest


def as_zip(rng: random.Random, content: bytes, others: Sequence[bytes]) -> bytes:
    """A member's bytes, its name or its place are changed; or sizes in the zip's own lists."""
    kind = rng.randrange(8)
    if kind == 7:
        at = rng.choice([m.start() for m in re.finditer(rb"PK[\1\3\5][\2\4\6]", content)])
        piece = as_bytes(rng, content[at : at + 46], others)[:60]
        return content[:at] + piece + content[at + 46 :]
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = [(entry, archive.read(entry)) for entry in archive.infolist()]
    at = rng.randrange(len(members))
    packed = io.BytesIO()
    with zipfile.ZipFile(
        packed, "w", rng.choice([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
    ) as out:
        for number, (entry, body) in enumerate(members):
            name = entry.filename
            if number == at and kind <= 4:
                body = mutate(rng, name, body, others)
            elif number == at and kind == 5:
                name = rng.choice([*WORDS, b"a/" + name.encode(), name.encode() + b"/"]).decode(
                    errors="replace"
                )
            elif number == at and kind == 6 and rng.random() < 0.5:
                continue
            new = zipfile.ZipInfo(name or "x", entry.date_time)
            if number == at and kind == 6:
                new.external_attr = rng.choice([0o120777, 0o020666, 0o010666, 0o040755]) << 16
            out.writestr(new, body)
    return packed.getvalue()


def as_png(rng: random.Random, content: bytes, others: Sequence[bytes]) -> bytes:
    """A chunk is changed, lost, twice or moved, and every checksum is right."""
    chunks, at = [], 8
    while at + 12 <= len(content):
        (size,) = struct.unpack_from(">I", content, at)
        chunks.append((content[at + 4 : at + 8], content[at + 8 : at + 8 + size]))
        at += 12 + size
    for _ in range(rng.choice([1, 1, 2])):
        at, kind = rng.randrange(len(chunks)), rng.randrange(6)
        name, body = chunks[at]
        if kind <= 1:
            chunks[at] = name, as_bytes(rng, body, others)
        elif kind == 2 and name == b"IDAT":
            with contextlib.suppress(zlib.error):
                body = as_bytes(rng, zlib.decompress(body), others)
            chunks[at] = name, zlib.compress(body)
        elif kind == 3:
            chunks.insert(at, (rng.choice([name, b"tEXt", b"iTXt", b"zTXt", b"PLTE", b"tRNS",
                               b"acTL", b"fcTL", b"fdAT", b"eXIf", b"iCCP", b"gAMA"]),
                               as_bytes(rng, body, others)))  # fmt: skip
        elif kind == 4 and len(chunks) > 1:
            del chunks[at]
        else:
            other = rng.randrange(len(chunks))
            chunks[at], chunks[other] = chunks[other], chunks[at]
    out = content[:8]
    for name, body in chunks:
        out += struct.pack(">I", len(body)) + name + body
        out += struct.pack(">I", zlib.crc32(name + body))
    return out


def as_parquet(rng: random.Random, content: bytes, others: Sequence[bytes]) -> bytes:
    """Its footer is changed, and the footer's length made right; or its pages are."""
    length = int.from_bytes(content[-8:-4], "little")
    pages, footer = content[: -8 - length], content[-8 - length : -8]
    if rng.random() < 0.6:
        footer = as_bytes(rng, footer, others)
    else:
        changed = as_bytes(rng, pages, others)
        pages = changed[: len(pages)].ljust(len(pages), b"\0")
    return pages + footer + len(footer).to_bytes(4, "little") + b"PAR1"


STRUCTURED: dict[str, tuple[Mutator, ...]] = {
    ".json": (as_json, as_json, as_text),
    ".jsonl": (as_lines, as_lines, as_text),
    ".toml": (as_text,),
    ".csv": (as_text,),
    ".txt": (as_text,),
    ".gz": (as_gzip, at_the_ends),
    ".safetensors": (as_safetensors,),
    ".npy": (as_npy,),
    ".npz": (as_zip,),
    ".zip": (as_zip,),
    ".png": (as_png, at_the_ends),
    ".parquet": (as_parquet,),
}
"""What a file is taken apart by, told by the end of its name."""


def mutate(rng: random.Random, name: str, content: bytes, others: Sequence[bytes]) -> bytes:
    """Other bytes for the file ``name``; ``others`` are files of its kind to take pieces from."""
    ending = "." + name.rpartition(".")[2]
    ways = STRUCTURED.get(ending, (at_the_ends,))
    if rng.random() < 0.3:
        ways = (as_bytes, at_the_ends)
    return rng.choice(ways)(rng, content, others)
