#!/usr/bin/env python3
"""Checks an export of OnRecord (执鉴): python3 verify.py [FILE.zip | FOLDER] [--key PUBLIC.pem]

One file, Python 3.8 or newer, nothing but its standard library, no network. Without a path it checks the folder that it
lies in. Each defect is a JSON line on stdout, the last line is the result. Exit code 0: whole; 1: tampered with or
incomplete; 2: cannot tell. What is checked, and what cannot be told, is said in docs/export.md and README.txt.
"""

import base64
import hashlib
import json
import os
import re
import stat
import sys
import zipfile

FORMAT, VERSION = "onrecord-export", 1
WHOLE, TAMPERED, CANNOT_TELL = 0, 1, 2
_CHUNK = 1 << 20
_MOST_INDEX_BYTES = 256 << 20
_MOST_LINE_BYTES = 4 << 20
_MOST_SMALL_BYTES = 1 << 20  # a head, a key
_UNLISTED = ("index.json", "index.sig")  # the index cannot name itself
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,120}(/[A-Za-z0-9_][A-Za-z0-9_.-]{0,120}){0,3}")
_SEGMENT = re.compile(r"[0-9]{4,}\.mp4")
_HEAD = re.compile(
    r"onrecord/(?P<log_id>[0-9a-f]{16})\n(?P<size>0|[1-9][0-9]{0,17})\n(?P<root>[A-Za-z0-9+/]{43}=)\n"
    r"time (?P<at>[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z)\n"
    r"(?:sm3 (?P<sm3>[A-Za-z0-9+/]{43}=)\n)?"
)
_INDEX_TEXT = re.compile(r"onrecord/(?P<log_id>[0-9a-f]{16}) export\n(?P<sha256>[0-9a-f]{64})\n")
_SIGNATURE = re.compile("\u2014 onrecord/(?P<name>[0-9a-f]{16}) (?P<data>[A-Za-z0-9+/]{91}=)\n")
_SPKI = bytes.fromhex("302a300506032b6570032100")  # RFC 8410: what stands before the 32 bytes of an Ed25519 key
_ENTRY_KEYS = {
    "event_id", "kind", "at_us", "ends_at_us", "learned_at_us", "stream_id", "case_id", "by", "words", "body",
}  # fmt: skip


class CannotTell(Exception):
    """It is no export, or cannot be read."""


# --- Ed25519 (RFC 8032, 5.1), checking only -------------------------------------------------------------------------

_P = 2**255 - 19
_L = 2**252 + 27742317777372353535851937790883648493
_D = -121665 * pow(121666, _P - 2, _P) % _P
_ROOT_OF_MINUS_1 = pow(2, (_P - 1) // 4, _P)


def _point(raw: bytes):
    """The point that 32 bytes stand for; None: none, or not in its one form."""
    y = int.from_bytes(raw, "little")
    sign, y = y >> 255, y & ((1 << 255) - 1)
    if y >= _P:
        return None
    u, v = (y * y - 1) % _P, (_D * y * y + 1) % _P
    x = u * pow(v, 3, _P) * pow(u * pow(v, 7, _P), (_P - 5) // 8, _P) % _P
    if v * x * x % _P != u:
        x = x * _ROOT_OF_MINUS_1 % _P
        if v * x * x % _P != u:
            return None
    if x == 0 and sign:
        return None
    if x & 1 != sign:
        x = _P - x
    return x, y, 1, x * y % _P


def _add(one, other):
    x1, y1, z1, t1 = one
    x2, y2, z2, t2 = other
    a, b = (y1 - x1) * (y2 - x2) % _P, (y1 + x1) * (y2 + x2) % _P
    c, d = 2 * t1 * t2 * _D % _P, 2 * z1 * z2 % _P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % _P, g * h % _P, f * g % _P, e * h % _P


def _double(point):
    x, y, z, _ = point
    a, b, c = x * x % _P, y * y % _P, 2 * z * z % _P
    h = a + b
    e = h - (x + y) * (x + y) % _P
    g = a - b
    f = c + g
    return e * f % _P, g * h % _P, f * g % _P, e * h % _P


_ZERO = (0, 1, 1, 0)
_BASE = _point((4 * pow(5, _P - 2, _P) % _P).to_bytes(32, "little"))


def _two_products(s, k, point):
    """s·B + k·point, both in one pass."""
    table = {(1, 0): _BASE, (0, 1): point, (1, 1): _add(_BASE, point)}
    total = _ZERO
    for bit in range(max(s.bit_length(), k.bit_length()) - 1, -1, -1):
        total = _double(total)
        which = (s >> bit & 1, k >> bit & 1)
        if which in table:
            total = _add(total, table[which])
    return total


def _is_zero(point):
    x, y, z, _ = point
    return x % _P == 0 and (y - z) % _P == 0


def is_signed(public_key: bytes, signature: bytes, data: bytes):
    """Whether the owner of `public_key` (32 bytes) made `signature` (64 bytes) over `data`. Keys of small order: no."""
    if len(public_key) != 32 or len(signature) != 64:
        return False
    s = int.from_bytes(signature[32:], "little")
    key = _point(public_key)
    if key is None or s >= _L or _is_zero(_double(_double(_double(key)))):
        return False
    k = int.from_bytes(hashlib.sha512(signature[:32] + public_key + data).digest(), "little") % _L
    x, y, z, _ = _two_products(s, k, (_P - key[0], key[1], 1, _P - key[3]))
    inverse = pow(z, _P - 2, _P)
    x, y = x * inverse % _P, y * inverse % _P
    return (y | (x & 1) << 255).to_bytes(32, "little") == signature[:32]


# --- RFC 6962 -------------------------------------------------------------------------------------------------------


def is_included(leaf: bytes, seq, size, path, root, name):
    """Whether `path` leads from the leaf hash at `seq` to the root over `size` leaves. RFC 9162, 2.1.3.2."""
    if not 0 <= seq < size:
        return False
    at, last, value = seq, size - 1, leaf
    for each in path:
        if last == 0:
            return False
        if at & 1 or at == last:
            value = hashlib.new(name, b"\1" + each + value).digest()
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            value = hashlib.new(name, b"\1" + value + each).digest()
        at, last = at >> 1, last >> 1
    return last == 0 and value == root


# --- what lies there ------------------------------------------------------------------------------------------------


class _Zip:
    def __init__(self, path):
        try:
            self._zip = zipfile.ZipFile(path)
        except (zipfile.BadZipFile, NotImplementedError, ValueError, OverflowError) as error:
            raise CannotTell(f"{path} is no zip ({error})") from error
        self.wrong = []
        self._infos: dict[str, zipfile.ZipInfo] = {}
        for info in self._zip.infolist():
            name = info.orig_filename
            if name in self._infos:
                self.wrong.append((name, "file_added", "the name stands in the zip twice"))
            elif info.is_dir() or info.compress_type != zipfile.ZIP_STORED or info.flag_bits & 1:
                self.wrong.append((name, "not_a_file", "it is a folder, packed or encrypted; an export has none such"))
            elif stat.S_IFMT(info.external_attr >> 16) not in (0, stat.S_IFREG):
                self.wrong.append((name, "not_a_file", "it is a link or a device"))
            else:
                self._infos[name] = info

    def sizes(self):
        return {name: info.file_size for name, info in self._infos.items()}

    def chunks(self, name, most=None):
        try:
            with self._zip.open(self._infos[name]) as file:
                yield from _chunks(file, most)
        except (zipfile.BadZipFile, NotImplementedError, RuntimeError, ValueError, EOFError) as error:
            raise _Unreadable(str(error)) from error


class _Folder:
    def __init__(self, path):
        self._path = path
        self.wrong = []
        self._sizes = {}
        for folder, folders, files in os.walk(path):
            for each in sorted(folders):
                if os.path.islink(os.path.join(folder, each)):
                    self.wrong.append((self._name(folder, each), "not_a_file", "it is a link"))
            for each in sorted(files):
                found = os.lstat(os.path.join(folder, each))
                if stat.S_ISREG(found.st_mode):
                    self._sizes[self._name(folder, each)] = found.st_size
                else:
                    self.wrong.append((self._name(folder, each), "not_a_file", "it is a link or a device"))

    def _name(self, folder, name):
        return os.path.relpath(os.path.join(folder, name), self._path).replace(os.sep, "/")

    def sizes(self):
        return dict(self._sizes)

    def chunks(self, name, most=None):
        try:
            with open(os.path.join(self._path, *name.split("/")), "rb") as file:
                yield from _chunks(file, most)
        except OSError as error:
            raise _Unreadable(str(error.strerror)) from error


class _Unreadable(Exception):
    pass


def _chunks(file, most):
    while most is None or most > 0:
        data = file.read(_CHUNK if most is None else min(_CHUNK, most))
        if not data:
            return
        if most is not None:
            most -= len(data)
        yield data


# --- the check ------------------------------------------------------------------------------------------------------


def canonical(tree: object) -> bytes:
    """Sorted keys, no spaces, UTF-8. Raises: ValueError."""
    return json.dumps(tree, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def timeline_line(seq: int, entry: dict) -> bytes:
    """An event as timeline.json shows it, made of its entry."""
    return canonical({"seq": seq, **{name: value for name, value in entry.items() if name != "words"}})


def _whole(text):
    if len(text) > 19:
        raise ValueError("a number is longer than any of ours")
    return int(text)


def _json(raw):
    """Raises: ValueError: no JSON, or not in its one form."""
    try:
        tree = json.loads(raw, parse_int=_whole)
        if canonical(tree) != raw:
            raise ValueError("it is not in canonical form")
    except RecursionError as error:
        raise ValueError("it is nested deeper than anything of ours") from error
    return tree


def _object(raw):
    tree = _json(raw)
    if not isinstance(tree, dict):
        raise ValueError("it is no JSON object")
    return tree


def _base64(text, size):
    raw = base64.b64decode(text, validate=True)
    if len(raw) != size or base64.b64encode(raw).decode() != text:
        raise ValueError(f"it is no Base64 of {size} bytes")
    return raw


def key_id_of(public_key):
    return hashlib.sha256(public_key).hexdigest()


def read_pem(raw):
    """The Ed25519 public keys (32 bytes each) in PEM blocks. Raises: ValueError."""
    found = []
    for block in re.findall(rb"-----BEGIN PUBLIC KEY-----([A-Za-z0-9+/=\s]+)-----END PUBLIC KEY-----", raw):
        der = base64.b64decode(b"".join(block.split()), validate=True)
        if der[:12] != _SPKI or len(der) != 44:
            raise ValueError("it is no Ed25519 public key")
        found.append(der[12:])
    if not found:
        raise ValueError("it holds no public key")
    return found


class Check:
    """One export. defects: (file, defect, detail). notes: what the reader must know or do himself."""

    def __init__(self, source, trusted=()):
        self.defects = []
        self.notes = []
        self.counts = {"files": 0, "events": 0, "recordings": 0, "segments": 0, "bytes": 0}
        self._source = source
        self._trusted = list(trusted)
        self._sizes = source.sizes()
        self._keys = []
        self._index = {}
        self._hashes = {}
        self._told = {}
        self._sent = set()  # recording_id -> file -> (sha256, size_bytes)

    def run(self):
        """Raises: CannotTell."""
        for name, defect, detail in self._source.wrong:
            self._note(name, defect, detail)
        raw = self._small("index.json", _MOST_INDEX_BYTES)
        if raw is None:
            raise CannotTell("there is no index.json: this is no export, or its heart was cut out")
        try:
            self._index = _object(raw)
            if (self._index.get("format"), self._index.get("version")) != (FORMAT, VERSION):
                raise ValueError(f"its format is not {FORMAT} {VERSION}")
        except ValueError as error:
            self._note("index.json", "index_malformed", str(error))
            return
        self._check_names()
        self._check_files()
        head = self._check_head()
        self._check_index_signature(raw, head)
        if head is not None:
            self._check_entries(head)
        self._check_recordings()
        self._check_sent()
        self.notes.append("an export cannot show that the case has no further events; ask for one by another person")

    def _note(self, name, defect, detail):
        self.defects.append((name, defect, detail))

    def _small(self, name, most=_MOST_SMALL_BYTES):
        """A file of at most so many bytes; None, and noted: it is not there, larger, or cannot be read."""
        if name not in self._sizes:
            self._note(name, "file_missing", "it is not there")
            return None
        if self._sizes[name] > most:
            self._note(name, "size_differs", "it is larger than any such file is")
            return None
        try:
            return b"".join(self._source.chunks(name, most + 1))
        except _Unreadable as error:
            self._note(name, "not_readable", str(error))
            return None

    def _lines(self, name):
        """Each line without its end; at most 4 MiB each. Raises: _Unreadable, ValueError."""
        left = b""
        for data in self._source.chunks(name):
            rows = (left + data).split(b"\n")
            left = rows.pop()
            yield from rows
            if len(left) > _MOST_LINE_BYTES:
                raise ValueError("a line is longer than any of ours")
        if left:
            raise ValueError("the last line has no end")

    def _listed(self):
        """(path, size, sha256) of what the index names."""
        files = self._index.get("files")
        for each in files if isinstance(files, list) else ():
            if not (
                isinstance(each, dict)
                and isinstance(each.get("path"), str)
                and type(each.get("size_bytes")) is int
                and isinstance(each.get("sha256"), str)
            ):
                self._note("index.json", "index_malformed", "a file is named without path, size or hash")
                continue
            yield each["path"], each["size_bytes"], each["sha256"]

    def _check_names(self):
        seen: dict[str, str] = {}
        for name in sorted(self._sizes):
            if not _NAME.fullmatch(name) or any(part in (".", "..") for part in name.split("/")):
                self._note(name, "name_unsafe", "such a name may lead out of the folder, or hide")
            folded = name.casefold()
            if folded in seen:
                self._note(name, "name_unsafe", f"on some systems it is the same as {seen[folded]}")
            seen[folded] = name

    def _check_files(self):
        listed = set(_UNLISTED)
        for path, size_bytes, sha256 in self._listed():
            if path in listed:
                self._note(path, "index_malformed", "the index names it twice")
                continue
            listed.add(path)
            if path not in self._sizes:
                self._note(path, "file_missing", f"the index says {size_bytes} bytes")
                continue
            if self._sizes[path] != size_bytes:
                self._note(path, "size_differs", f"{self._sizes[path]} bytes, the index says {size_bytes}")
                continue
            digest = hashlib.sha256()
            try:
                for data in self._source.chunks(path, size_bytes + 1):
                    digest.update(data)
            except _Unreadable as error:
                self._note(path, "not_readable", str(error))
                continue
            self.counts["files"] += 1
            self.counts["bytes"] += size_bytes
            self._hashes[path] = (digest.hexdigest(), size_bytes)
            if digest.hexdigest() != sha256:
                self._note(path, "hash_differs", "it is not the file that the index names")
        for name in sorted(set(self._sizes) - listed):
            if not name.startswith("__pycache__/"):
                self._note(name, "file_added", "the index does not name it")

    def _check_head(self):
        """(size, root, root_sm3, log_id) of the log's signed head."""
        raw = self._small("head.txt")
        if raw is None:
            return None
        try:
            text, match, key_hash, signature = _signed_note(raw, _HEAD)
            head = (
                int(match.group("size")),
                _base64(match.group("root"), 32),
                None if match.group("sm3") is None else _base64(match.group("sm3"), 32),
                match.group("log_id"),
            )
        except ValueError as error:
            self._note("head.txt", "head_malformed", str(error))
            return None
        self._find_keys(head[3])
        if not any(_is_note_signed(head[3], key_hash, signature, text, key) for key in self._keys):
            self._note("head.txt", "head_unsigned", "no trusted key signed it")
        if self._index.get("log_id") != head[3] or self._index.get("head_size") != head[0]:
            self._note("index.json", "index_differs", "it speaks of another head")
        self.notes.append(f"head: {head[0]} events, signed at {match.group('at')}")
        return head

    def _find_keys(self, log_id):
        there = []
        for name in sorted(self._sizes):
            if name.startswith("keys/") and name.endswith(".pub.pem"):
                try:
                    there += read_pem(self._small(name) or b"")
                except ValueError as error:
                    self._note(name, "key_malformed", str(error))
        named = [key for key in there if hashlib.sha256(b"onrecord log" + key).hexdigest()[:16] == log_id]
        self._keys = list(self._trusted or named)
        for change in self._rotations():
            try:
                old, new, signature = _statement(change)
            except (KeyError, TypeError, ValueError, AttributeError):
                self._note("keys/rotations.jsonl", "key_malformed", "a statement is none")
                continue
            if old in self._keys and new not in self._keys and is_signed(old, signature, _unsigned(change)):
                self._keys.append(new)
        for key in there:
            if key not in self._keys and not self._trusted:
                self._note(f"keys/{key_id_of(key)}.pub.pem", "key_unannounced", "no trusted key announced it")
        if not self._trusted:
            for key in named[:1]:
                self.notes.append(
                    "cannot tell whose key it is: compare it with the one that the bureau publishes, or use --key; "
                    f"its id is {key_id_of(key)}"
                )

    def _rotations(self):
        name = "keys/rotations.jsonl"
        if name not in self._sizes:
            return []
        found = []
        for row in (self._small(name) or b"").splitlines():
            try:
                found.append(_object(row))
            except ValueError as error:
                self._note(name, "key_malformed", str(error))
        return found

    def _check_index_signature(self, index, head):
        raw = self._small("index.sig")
        if raw is None:
            return
        try:
            text, match, key_hash, signature = _signed_note(raw, _INDEX_TEXT)
        except ValueError as error:
            self._note("index.sig", "index_malformed", str(error))
            return
        if head is not None and match.group("log_id") != head[3]:
            self._note("index.sig", "index_differs", "it is of another log")
        if match.group("sha256") != hashlib.sha256(index).hexdigest():
            self._note("index.json", "index_differs", "it is not the index that was signed")
        if not any(_is_note_signed(match.group("log_id"), key_hash, signature, text, key) for key in self._keys):
            self._note("index.sig", "index_unsigned", "no trusted key signed it")

    def _check_entries(self, head):
        """Each line of entries.jsonl against the head, and against the line of timeline.json that shows it."""
        for name in ("entries.jsonl", "timeline.json"):
            if name not in self._hashes:
                return  # noted already
        has_sm3 = head[2] is not None
        if has_sm3:
            try:
                hashlib.new("sm3")
            except ValueError:
                has_sm3 = False
                self.notes.append(
                    "cannot tell: the head's SM3 root; this Python has no SM3. The SHA-256 root was checked"
                )
        shown = self._shown()
        case_id = self._index.get("case", {}).get("case_id") if isinstance(self._index.get("case"), dict) else None
        seen = set()
        try:
            for number, row in enumerate(self._lines("entries.jsonl"), 1):
                where = f"line {number}: "
                try:
                    seq, entry, tree = self._entry(row, head, has_sm3)
                except ValueError as error:
                    self._note("entries.jsonl", "entry_malformed", where + str(error))
                    next(shown, None)
                    continue
                if seq is None:
                    self._note(
                        "entries.jsonl", "entry_unproved", where + "the head does not cover it, or it was changed"
                    )
                if tree["event_id"] in seen:
                    self._note("entries.jsonl", "entry_doubled", where + "it stands there twice")
                seen.add(tree["event_id"])
                if tree["case_id"] is not None and tree["case_id"] != case_id:
                    self._note("entries.jsonl", "entry_foreign", where + "it belongs to another case")
                line = next(shown, None)
                if line != timeline_line(entry, tree):
                    self._note("timeline.json", "timeline_differs", where + "the timeline does not show this entry")
                self._take(tree)
                self.counts["events"] += 1
            if next(shown, None) is not None:
                self._note("timeline.json", "timeline_differs", "it shows events that no entry proves")
        except (_Unreadable, ValueError) as error:
            self._note("entries.jsonl", "entry_malformed", str(error))
        if self.counts["events"] != self._index.get("events"):
            self._note("entries.jsonl", "entry_missing", "the index says {!r} events".format(self._index.get("events")))

    def _entry(self, row, head, has_sm3):
        """(seq if it is proved, seq, the entry). Raises: ValueError."""
        tree = _object(row)
        seq, text, path = tree.get("seq"), tree.get("entry"), tree.get("path")
        if type(seq) is not int or not isinstance(text, str) or not isinstance(path, list):
            raise ValueError("seq, entry or path is missing")
        raw = text.encode()
        entry = _object(raw)
        if set(entry) != _ENTRY_KEYS or not isinstance(entry["event_id"], str) or not isinstance(entry["body"], dict):
            raise ValueError("the entry has other keys than an entry has")
        is_proved = is_included(
            hashlib.sha256(b"\0" + raw).digest(), seq, head[0], _hashes(path), head[1], "sha256"
        )  # fmt: skip
        if has_sm3:
            second = tree.get("path_sm3")
            if not isinstance(second, list):
                raise ValueError("the path to the SM3 root is missing")
            leaf = hashlib.new("sm3", b"\0" + raw).digest()
            is_proved = is_proved and is_included(leaf, seq, head[0], _hashes(second), head[2], "sm3")
        return (seq if is_proved else None), seq, entry

    def _shown(self):
        """The lines of timeline.json's events: a bracket, an event a line with commas between, a bracket."""
        pending = None
        for number, row in enumerate(self._lines("timeline.json")):
            if pending is not None:
                yield pending
                pending = None
            if number and row != b"]":
                pending = row[:-1] if row.endswith(b",") else row

    def _take(self, entry):
        if entry["kind"] == "SegmentClosed":
            body = entry["body"]
            files = self._told.setdefault(str(body.get("recording_id")), {})
            files[str(body.get("file"))] = (body.get("sha256"), body.get("size_bytes"))
        elif entry["kind"] in ("UploadReceived", "ClipMade", "ClipBlurred"):
            self._sent.add(str(entry["body"].get("sha256")))

    def _check_sent(self):
        """Files that were sent in, clips and their copies: each is there and is what the log says, and no other."""
        for sha256 in sorted(self._sent):
            path = "files/" + sha256
            if path not in self._sizes:
                self._note(path, "file_missing", "the events tell that it was sent in or cut")
            elif path in self._hashes and self._hashes[path][0] != sha256:
                self._note(path, "hash_differs", "it is not the file that the events tell of")
        for path in sorted(self._sizes):
            if path.startswith("files/") and path[len("files/") :] not in self._sent:
                self._note(path, "file_added", "no event tells of it")

    def _check_recordings(self):
        listed = self._index.get("recordings")
        known = {}
        for each in listed if isinstance(listed, list) else ():
            if isinstance(each, dict) and isinstance(each.get("recording_id"), str):
                known[each["recording_id"]] = each
        folders = {name.split("/")[1] for name in self._sizes if name.startswith("recordings/") and name.count("/") > 1}
        for recording_id in sorted(folders - set(known)):
            self._note(f"recordings/{recording_id}", "file_added", "the index does not name this recording")
        for recording_id in sorted(set(self._told) - set(known)):
            self._note(f"recordings/{recording_id}", "recording_missing", "the events tell of it")
        for recording_id, said in sorted(known.items()):
            self._check_recording(recording_id, said)

    def _check_recording(self, recording_id, said):
        folder = f"recordings/{recording_id}"
        for each in said.get("defects", []) if isinstance(said.get("defects"), list) else ():
            if isinstance(each, dict):
                detail = "known when it was exported: {}".format(each.get("detail"))
                self._note("{}/{}".format(folder, each.get("file")), str(each.get("defect")), detail)
        name = folder + "/manifest.jsonl"
        if name not in self._hashes:
            self._note(name, "file_missing", "the recording has no manifest")
            return
        self.counts["recordings"] += 1
        manifest = _Manifest(self._keys)
        try:
            for row in self._lines(name):
                manifest.take(row)
        except (_Unreadable, ValueError) as error:
            manifest.wrong.append(("line_malformed", str(error)))
        manifest.end(is_ended=said.get("is_settled") is not False)
        for defect, detail in manifest.wrong:
            self._note(name, defect, detail)
        if manifest.recording.get("recording_id") != recording_id:
            self._note(name, "recording_differs", "it is the manifest of another recording")
        told = self._told.get(recording_id, {})
        for file, (sha256, size_bytes) in sorted(manifest.segments.items()):
            path = f"{folder}/{file}"
            self.counts["segments"] += 1
            if path not in self._sizes:
                self._note(path, "file_missing", "the manifest names it")
            elif path in self._hashes and self._hashes[path] != (sha256, size_bytes):
                self._note(path, "hash_differs", "it is not the file that the manifest names")
            if file in told and told[file] != (sha256, size_bytes):
                self._note(path, "segment_differs", "the log tells of another file")
            elif file not in told and said.get("is_settled") is not False:
                self._note(path, "segment_untold", "the log does not tell of it")
        for file in sorted(set(told) - set(manifest.segments)):
            self._note(f"{folder}/{file}", "segment_missing", "the log tells of it, the manifest does not")
        for path in sorted(self._sizes):
            if path.startswith(folder + "/") and path != name and path[len(folder) + 1 :] not in manifest.segments:
                self._note(path, "file_added", "no line of the manifest names it")


class _Manifest:
    """The chain of a recording's manifest (docs/recording-format.md), line by line. wrong: (defect, detail)."""

    def __init__(self, keys):
        self.wrong = []
        self.recording = {}
        self.segments = {}
        self._keys = list(keys)
        self._prev = ""
        self._number = 0
        self._last = None
        self._is_final = False

    def take(self, row):
        number, self._number = self._number, self._number + 1
        try:
            line = _object(row)
        except ValueError as error:
            self._say(number, "line_malformed", str(error))
            line = {}
        kind = line.get("type")
        if self._is_final:
            self._say(number, "line_out_of_place", "it stands behind the final head")
        if (kind == "recording") != (number == 0) or kind not in ("recording", "segment", "head"):
            self._say(number, "line_out_of_place", "the recording's line is the first, and only the first")
        if kind != "recording" and line.get("prev") != self._prev:
            self._say(number, "chain_broken", "it does not follow the line before")
        if self._last in ("recording", "segment") and kind != "head":
            self._say(number - 1, "unsigned", "no head follows this line")
        if kind == "recording":
            self.recording = line
        elif kind == "segment":
            self._segment(number, line)
        elif kind == "head":
            self._head(number, line)
        self._prev, self._last = hashlib.sha256(row + b"\n").hexdigest(), kind

    def end(self, is_ended):
        if is_ended and not self._is_final:
            self._say(self._number, "not_ended", "no final head: the end was cut off")
        if self._last != "head":
            self._say(self._number, "unsigned", "no head follows the last line")

    def _say(self, number, defect, detail):
        self.wrong.append((defect, f"line {number}: {detail}"))

    def _segment(self, number, line):
        file, sha256, size_bytes = line.get("file"), line.get("sha256"), line.get("size_bytes")
        if not isinstance(file, str) or not _SEGMENT.fullmatch(file) or type(size_bytes) is not int:
            self._say(number, "line_malformed", "it names no segment")
        elif file in self.segments:
            self._say(number, "line_out_of_place", f"{file} has two lines")
        else:
            self.segments[file] = (sha256, size_bytes)

    def _head(self, number, line):
        try:
            key, signature = _base64(line["public_key"], 32), _base64(line["signature"], 64)
            changes = [(*_statement(each), each) for each in line["key_changes"]]
        except (KeyError, TypeError, ValueError, AttributeError):
            self._say(number, "line_malformed", "the head is none")
            return
        if line.get("line_count") != number:
            self._say(number, "lines_missing", "the head was the line {!r}".format(line.get("line_count")))
        if line.get("recording_id") != self.recording.get("recording_id"):
            self._say(number, "foreign_head", "it signs another recording")
        if line.get("key_id") != key_id_of(key):
            self._say(number, "key_differs", "key_id is not that of the public key")
        for old, new, by_old, each in changes:
            if old in self._keys and is_signed(old, by_old, _unsigned(each)):
                self._keys.append(new)
            else:
                self._say(number, "key_untrusted", f"no trusted key announced {key_id_of(new)}")
        if not is_signed(key, signature, _unsigned(line)):
            self._say(number, "signature_wrong", "the head was changed, or not made by this key")
        elif key not in self._keys:
            self._say(number, "key_untrusted", f"no trusted key announced {key_id_of(key)}")
        self._is_final = line.get("final") is True


def _statement(tree):
    """(old key, new key, signature by the old key) of a change of keys. Raises: KeyError, TypeError, ValueError."""
    return _base64(tree["old_public_key"], 32), _base64(tree["new_public_key"], 32), _base64(tree["signature"], 64)


def _unsigned(tree):
    """What the signature of a line is made over."""
    return canonical({name: value for name, value in tree.items() if name != "signature"}) + b"\n"


def _hashes(path):
    if len(path) > 64 or not all(isinstance(each, str) and len(each) == 64 for each in path):
        raise ValueError("the path is none")
    return [bytes.fromhex(each) for each in path]


def _signed_note(raw, form):
    """(text, its match, key hash, signature) of a signed note (C2SP signed-note). Raises: ValueError."""
    text, _, rest = raw.decode().partition("\n\n")
    text += "\n"
    match, signature = form.fullmatch(text), _SIGNATURE.fullmatch(rest)
    if match is None or signature is None or signature.group("name") != match.group("log_id"):
        raise ValueError("it is not in the form of a signed note")
    data = _base64(signature.group("data"), 68)
    return text, match, data[:4], data[4:]


def _is_note_signed(log_id, key_hash, signature, text, key):
    name = (f"onrecord/{log_id}").encode()
    if hashlib.sha256(name + b"\n\1" + key).digest()[:4] != key_hash:
        return False
    return is_signed(key, signature, text.encode())


def check(path: str, trusted=()) -> "Check":
    """The finished Check of a zip or an unpacked folder. Raises: CannotTell, OSError."""
    found = Check(_Folder(path) if os.path.isdir(path) else _Zip(path), trusted)
    found.run()
    return found


def main(words) -> int:
    path, key = None, None
    words = list(words)
    while words:
        word = words.pop(0)
        if word == "--key" and words:
            key = words.pop(0)
        elif path is None and not word.startswith("-"):
            path = word
        else:
            sys.stderr.write(__doc__ or "")
            return CANNOT_TELL
    try:
        trusted = []
        if key is not None:
            with open(key, "rb") as file:
                trusted = read_pem(file.read(_MOST_SMALL_BYTES))
        found = check(path or os.path.dirname(os.path.abspath(__file__)), trusted)
    except (CannotTell, OSError, ValueError) as error:
        _say({"result": "cannot tell", "why": str(error)})
        return CANNOT_TELL
    for name, defect, detail in found.defects:
        _say({"file": name, "defect": defect, "detail": detail})
    for note in found.notes:
        _say({"note": note})
    _say(
        {
            "result": "TAMPERED OR INCOMPLETE" if found.defects else "whole",
            "defects": len(found.defects),
            **found.counts,
        }
    )
    return TAMPERED if found.defects else WHOLE


def _say(tree):
    sys.stdout.write(json.dumps(tree, ensure_ascii=True) + "\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
