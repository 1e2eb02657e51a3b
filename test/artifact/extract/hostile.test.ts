import { describe, expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import { deflateRawSync, gzipSync } from "node:zlib";
import type { ExtractLimits } from "../../../src/artifact/extract/limits.ts";
import type { ErrorCode } from "../../../src/errors.ts";
import { mountTmpfs } from "../../support/tmpfs.ts";
import { endOfTar, gnuLong, pax, paxRecord, tar, tarEntry, zip, zip64 } from "./build.ts";
import { failureOf, roomy, Sandbox } from "./sandbox.ts";
import { compressions, has } from "./tools.ts";

const canMount = process.getuid?.() === 0;

/** An archive, the code it is refused with, and what the message must have (the entry's name in quotes). */
type Case = readonly [archive: Buffer, code: ErrorCode, says: string, limits?: Partial<ExtractLimits>];

const refused = "archive-refused";
const corrupt = "archive-corrupt";
const tooLarge = "artifact-too-large";
const link = (name: string, linkname: string) => ({ name, type: "2", linkname, mode: 0o777 });
const hard = (name: string, linkname: string) => ({ name, type: "1", linkname });
const directory = (name: string) => ({ name, type: "5", mode: 0o755 });
const evil = { body: "evil" };
const zipLink = (name: string, body: string) => ({ name, body, unixMode: 0o120777 });

const names: Record<string, Case> = {
  "a parent directory": [tar({ name: "../passwd", ...evil }), refused, '"../passwd"'],
  "a parent directory in the middle": [tar({ name: "a/../../passwd" }), refused, '"a/../../passwd"'],
  "a parent directory that stays inside": [tar({ name: "a/../b" }), refused, '"a/../b"'],
  "a parent directory at the end": [tar(directory("a/..")), refused, '"a/.."'],
  "only a parent directory": [tar(directory("..")), refused, '".."'],
  "an absolute name": [tar({ name: "/tmp/dewy-evil" }), refused, '"/tmp/dewy-evil"'],
  "an absolute directory": [tar(directory("/")), refused, '"/"'],
  "two slashes": [tar({ name: "//passwd" }), refused, '"//passwd"'],
  "an absolute prefix": [tar({ name: "b", prefix: "/tmp" }), refused, '"/tmp/b"'],
  "a parent directory in the prefix": [tar({ name: "b", prefix: ".." }), refused, '"../b"'],
  "an empty name": [tar({ name: "" }), refused, '""'],
  "a newline": [tar({ name: "a\nb" }), refused, '"a\\nb"'],
  "a terminal escape": [tar({ name: "\u001b[2Jok" }), refused, '"\\u001b[2Jok"'],
  "a C1 control": [tar({ name: "a\u009bb" }), refused, '"a\\u009bb"'],
  "a delete character": [tar({ name: "a\u007f" }), refused, '"a\\u007f"'],
  "bytes that are not UTF-8": [tar(latinName()), refused, '"caf\ufffd"'],
  "a NUL in a PAX path": [tar(pax({ path: "ok\0/../x" }), evil), refused, '"ok\\u0000/../x"'],
  "a NUL in a GNU long name": [tar(gnuLong("L", "ok\0/../x"), evil), refused, '"ok\\u0000/../x"'],
  "a component of 256 bytes": [tar(pax({ path: "x".repeat(256) }), evil), refused, "component over 255"],
  "a component of 256 bytes in 128 characters": [
    tar(pax({ path: "é".repeat(128) }), evil),
    refused,
    "component",
  ],
  "a name over 4096 bytes": [tar(pax({ path: `${"x/".repeat(2100)}x` }), evil), refused, "over 4096"],
  "a name 257 deep": [tar(pax({ path: `${"x/".repeat(256)}x` }), evil), refused, "256 directories deep"],
  "a name too long below this directory": [
    tar(pax({ path: `${`${"x".repeat(253)}/`.repeat(16)}${"x".repeat(30)}` }), evil),
    refused,
    "too long for this disk",
  ],
  "a file called like the root": [tar({ name: ".", ...evil }), refused, '"."'],
  "a link called like the root": [tar(link("./", "x")), refused, '"./"'],
  "a PAX path behind a good name": [tar(pax({ path: "../x" }), { name: "good" }), refused, '"../x"'],
  "a PAX path that is absolute": [tar(pax({ path: "/x" }), { name: "good" }), refused, '"/x"'],
  "a PAX path that is empty": [tar(pax({ path: "" }), { name: "good" }), refused, '""'],
  "a GNU long name behind a good name": [tar(gnuLong("L", "../x"), { name: "good" }), refused, '"../x"'],
};

const links: Record<string, Case> = {
  "an absolute link": [tar(link("a", "/etc/passwd")), refused, '"a" is an absolute'],
  "a link out": [tar(link("a", "../old/app")), refused, '"a" is a symbolic link that leaves'],
  "a link out of a directory": [tar(link("d/a", "../../old/app")), refused, '"d/a"'],
  "a link out and in again": [tar(link("a", "../.partial-1/b")), refused, '"a"'],
  "a link out in the middle": [tar(link("a", "b/../../c")), refused, '"a"'],
  "a link to nothing": [tar(link("a", "")), refused, '"a"'],
  "a link with a newline": [tar(link("a", "b\nc")), refused, '"a"'],
  "a link whose target is not UTF-8": [tar(pax({ linkpath: "\ufffd" }), link("a", "b")), refused, '"a"'],
  "a PAX linkpath behind a good one": [tar(pax({ linkpath: "../../x" }), link("a", "b")), refused, '"a"'],
  "a GNU long link": [tar(gnuLong("K", `${"../".repeat(60)}etc/passwd`), link("a", "b")), refused, '"a"'],
  "a link to itself": [tar(link("a", "a")), refused, '"a" is a symbolic link in a loop'],
  "links in a circle": [tar(link("a", "b"), link("b", "c/x"), link("c", "a")), refused, "in a loop"],
  "a chain that leaves": [tar(link("here", "."), link("d/up", "../here/../x")), refused, '"d/up"'],
  "a chain over a deep link to the root": [
    tar(link("x/y/root", "../.."), link("out", "x/y/root/../passwd")),
    refused,
    '"out"',
  ],
  "a chain that leaves, in the other order": [
    tar(link("out", "x/y/root/../passwd"), link("x/y/root", "../..")),
    refused,
    '"out"',
  ],
  "a chain of three": [
    tar(link("x/y/z/r", "../../.."), link("s", "x/y/z/r"), link("x/y/t", "../../s/..")),
    refused,
    '"x/y/t"',
  ],
  "a file through a link to the outside": [tar(link("a", ".."), { name: "a/old/app" }), refused, '"a"'],
  "a file through a link": [tar(directory("d"), link("a", "d"), { name: "a/b" }), refused, '"a/b"'],
  "a file through a dangling link": [tar(link("a", "b"), { name: "a", ...evil }), refused, '"a"'],
  "a file in place of a link": [tar({ name: "b" }, link("a", "b"), { name: "./a" }), refused, '"./a"'],
  "a file through a link, spelled otherwise": [
    tar(link("a", "d"), { name: ".//a/./b" }),
    refused,
    '".//a/./b"',
  ],
  "a file deep through a link": [tar(link("a", "d"), { name: "a/b/c/d" }), refused, '"a/b/c/d"'],
  "a directory through a link": [tar(link("a", "d"), directory("a/b")), refused, '"a/b"'],
  "a directory in place of a link": [tar(link("a", "."), directory("a/")), refused, '"a/"'],
  "a link through a link": [tar(link("a", "d"), link("a/b", "c")), refused, '"a/b"'],
  "a hard link through a link": [tar({ name: "f" }, link("a", "d"), hard("a/b", "f")), refused, '"a/b"'],
  "a hard link's target through a link": [
    tar({ name: "d/f" }, link("a", "d"), hard("b", "a/f")),
    refused,
    '"b"',
  ],
  "a directory that becomes a link": [tar({ name: "d/f" }, link("d", "e")), refused, '"d"'],
  "a hard link to the outside": [tar(hard("a", "../old/app")), refused, '"../old/app"'],
  "a hard link to an absolute path": [tar(hard("a", "/etc/passwd")), refused, '"/etc/passwd"'],
  "a hard link to a symbolic link": [
    tar(link("l", "f"), hard("a", "l")),
    refused,
    '"a" is a hard link to a sym',
  ],
  "a hard link to a directory": [tar(directory("d"), hard("a", "d")), refused, '"a" is a hard link to a dir'],
  "a hard link to what is missing": [tar(hard("a", "b")), refused, '"a" is a hard link'],
  "a hard link to what comes later": [tar(hard("a", "b"), { name: "b" }), refused, '"a" is a hard link'],
  "a hard link to nothing": [tar(hard("a", "")), refused, "empty name"],
  "a PAX linkpath of a hard link": [
    tar({ name: "b" }, pax({ linkpath: "../old/app" }), hard("a", "b")),
    refused,
    '"../old/app"',
  ],
  "a global linkpath": [tar(pax({ linkpath: "../x" }, "g"), link("a", "b")), refused, '"linkpath"'],
  "a symbolic link with content": [tar({ ...link("a", "b"), ...evil }), refused, '"a" is no file'],
  "a hard link with content": [tar({ name: "b" }, { ...hard("a", "b"), ...evil }), refused, '"a" is no file'],
};

const kinds: Record<string, Case> = {
  "a character device": [tar({ name: "a", type: "3" }), refused, '"a" is a character device'],
  "a block device": [tar({ name: "a", type: "4" }), refused, '"a" is a block device'],
  "a named pipe": [tar({ name: "a", type: "6" }), refused, '"a" is a named pipe'],
  "a sparse file": [tar({ name: "a", type: "S" }), refused, '"a" is a sparse file'],
  "a PAX sparse file": [tar(pax({ "GNU.sparse.major": "1" }), { name: "a" }), refused, "sparse"],
  "a volume label": [tar({ name: "a", type: "V" }), refused, '"a" is a volume label'],
  "an unknown type": [tar({ name: "a", type: "Z" }), refused, '"a"'],
  "an incremental directory": [tar({ name: "a/", type: "D" }), refused, '"a/"'],
  "a setuid file": [tar({ name: "a", mode: 0o4755 }), refused, '"a" has setuid set'],
  "a setgid file": [tar({ name: "a", mode: 0o2755 }), refused, '"a" has setgid set'],
  "a sticky file": [tar({ name: "a", mode: 0o1755 }), refused, '"a" has the sticky bit'],
  "a setgid directory": [tar({ ...directory("a"), mode: 0o2755 }), refused, '"a" has setgid'],
  "a sticky directory": [tar({ ...directory("a"), mode: 0o1777 }), refused, '"a" has the sticky'],
  "a file twice": [tar({ name: "a" }, { name: "a" }), refused, '"a" comes twice'],
  "a file twice, spelled otherwise": [
    tar({ name: "d/a" }, { name: "./d//a" }),
    refused,
    '"./d//a" comes twice',
  ],
  "a link twice": [tar(link("a", "b"), link("a", "c")), refused, '"a" comes twice'],
  "a file where a directory is": [tar(directory("a"), { name: "a" }), refused, '"a" is a file where'],
  "a file where an implied directory is": [
    tar({ name: "a/b" }, { name: "a" }),
    refused,
    '"a" is a file where',
  ],
  "a directory where a file is": [tar({ name: "a" }, directory("a/")), refused, '"a/" is a directory where'],
  "a file below a file": [tar({ name: "a" }, { name: "a/b" }), refused, '"a/b"'],
  "a file deep below a file": [tar({ name: "a" }, { name: "a/b/c" }), refused, '"a/b/c"'],
  "a hard link in place of a file": [
    tar({ name: "a" }, { name: "b" }, hard("b", "a")),
    refused,
    '"b" comes twice',
  ],
};

const good = tar({ name: "a", body: "x".repeat(2000) }, pax({ path: "b" }), { name: "c", body: "y" });
const damage: Record<string, Case> = {
  "a wrong checksum": [tar({ name: "a", checksumOff: 1 }), corrupt, "checksum"],
  "a wrong checksum after a good entry": [
    tar({ name: "a" }, { name: "b", checksumOff: 8 }),
    corrupt,
    "checksum",
  ],
  "a size that is no number": [tar({ name: "a", size: "zzzzzzzzzzz\0" }), corrupt, '"a" has no valid size'],
  "a negative size": [tar({ name: "a", size: "\xff".repeat(12) }), corrupt, '"a" has no valid size'],
  "a size out of bounds": [tar({ name: "a", size: `\x80${"\xff".repeat(11)}` }), corrupt, "number"],
  "a size beyond the archive": [tar({ name: "a", size: "00000100000\0" }), corrupt, 'inside "a"'],
  "a PAX size beyond the archive": [tar(pax({ size: "99999" }), { name: "a" }), corrupt, 'inside "a"'],
  "a PAX size over the limit": [tar(pax({ size: "999999999999" }), { name: "a" }), tooLarge, '"a"'],
  "a PAX size that is negative": [tar(pax({ size: "-1" }), { name: "a" }), corrupt, "size"],
  "a PAX size that is a fraction": [tar(pax({ size: "1.5" }), { name: "a" }), corrupt, "size"],
  "a PAX size on a directory": [tar(pax({ size: "512" }), directory("a")), refused, '"a"'],
  "a global PAX size": [tar(pax({ size: "0" }, "g"), { name: "a", ...evil }), refused, '"sizeBytes"'],
  "a global PAX path": [tar(pax({ path: "x" }, "g"), { name: "a" }), refused, '"path"'],
  "a PAX record longer than its header": [tar(rawPax("99 path=x\n")), corrupt, "wrong length"],
  "a PAX record of length 0": [tar(rawPax("0 path=x\n")), corrupt, "wrong length"],
  "a PAX record without its newline": [tar(rawPax("9 path=xy")), corrupt, "wrong length"],
  "a PAX record without a key": [tar(rawPax("5 =x\n")), corrupt, "without a key"],
  "a PAX record that hides a path": [tar(rawPax("20 comment=\n10 path=x\n")), corrupt, "wrong length"],
  "a PAX header for nothing": [tar({ name: "a" }, pax({ path: "b" })).subarray(0, -1024), corrupt, "ends"],
  "two PAX headers for one entry": [
    tar(pax({ path: "a" }), pax({ path: "b" }), evil),
    corrupt,
    "two extended",
  ],
  "a PAX path and a GNU long name": [
    tar(gnuLong("L", "a"), pax({ path: "b" }), evil),
    corrupt,
    "two extended",
  ],
  "a PAX header over 1 MiB": [
    tar(pax({ comment: "x".repeat(1 << 20) }), { name: "a" }),
    refused,
    "over 1 MiB",
  ],
  "a PAX header that claims 8 GiB": [
    tar({ name: "PaxHeaders/a", type: "x", size: "77777777777\0" }),
    refused,
    "over 1 MiB",
  ],
  "an entry after the first zero block": [
    Buffer.concat([tarEntry({ name: "a" }), endOfTar.subarray(512), tar({ name: "b" })]),
    corrupt,
    "after tar's end mark",
  ],
  "text in place of a tar": [Buffer.from("<html>404</html>".repeat(100)), corrupt, "checksum"],
  "nothing at all": [Buffer.alloc(0), corrupt, "end mark"],
};

const bombs: Record<string, Case> = {
  "more bytes than allowed": [
    tar({ name: "a", body: "x".repeat(5000) }),
    tooLarge,
    "4000 bytes",
    { maxBytes: 4000 },
  ],
  "padding and headers count": [tar({ name: "a" }), tooLarge, "1000 bytes", { maxBytes: 1000 }],
  "bytes after the end mark count": [
    Buffer.concat([tar({ name: "a" }), Buffer.alloc(3_000_000)]),
    tooLarge,
    "bytes",
    { maxBytes: 2_000_000 },
  ],
  "PAX headers count": [
    tar(...Array.from({ length: 20 }, () => pax({ comment: "x".repeat(1000) }, "g")), { name: "a" }),
    tooLarge,
    "bytes",
    { maxBytes: 10_000 },
  ],
  "too many entries": [tar(...many((n) => ({ name: `f${n}` }))), tooLarge, '"f10"', { maxEntries: 10 }],
  "too many repeated directories": [tar(...many(() => directory("d"))), tooLarge, '"d"', { maxEntries: 10 }],
  "too many implied directories": [
    tar({ name: "a/b/c/d/e/f" }),
    tooLarge,
    '"a/b/c/d/e/f"',
    { maxEntries: 5 },
  ],
  "too many links": [tar(...many((n) => link(`l${n}`, "a"))), tooLarge, '"l10"', { maxEntries: 10 }],
};

const zips: Record<string, Case> = {
  "a parent directory": [zip([{ name: "../passwd" }]), refused, '"../passwd"'],
  "an absolute name": [zip([{ name: "/tmp/x" }]), refused, '"/tmp/x"'],
  "a backslash": [zip([{ name: "..\\passwd" }]), refused, '"..\\\\passwd"'],
  "a Windows drive": [zip([{ name: "C:/x" }]), refused, '"C:/x"'],
  "an empty name": [zip([{ name: "" }]), refused, '""'],
  "a control character": [zip([{ name: "a\rb" }]), refused, '"a\\rb"'],
  "a NUL": [zip([{ name: "a\0b" }]), refused, '"a\\u0000b"'],
  "bytes that are not UTF-8": [zip([{ name: Buffer.from("caf\xe9", "latin1") }]), refused, '"caf'],
  "an absolute link": [zip([zipLink("a", "/etc/passwd")]), refused, '"a" is an absolute'],
  "a link out": [zip([zipLink("a", "../old/app")]), refused, '"a" is a symbolic link that leaves'],
  "a link with a NUL": [zip([zipLink("a", "b\0c")]), refused, '"a"'],
  "a link over 4096 bytes": [zip([zipLink("a", "b/".repeat(3000))]), refused, '"a" is a symbolic link to a'],
  "a chain that leaves": [
    zip([zipLink("x/y/r", "../.."), zipLink("out", "x/y/r/../passwd")]),
    refused,
    '"out"',
  ],
  "a file through a link": [zip([zipLink("a", "d"), { name: "a/b" }]), refused, '"a/b"'],
  "a file in place of a link": [zip([zipLink("a", "b"), { name: "a" }]), refused, '"a"'],
  "a link called a directory": [zip([zipLink("a/", "b")]), refused, '"a/"'],
  "a directory with content": [zip([{ name: "a/", ...evil }]), refused, '"a/"'],
  "a file twice": [zip([{ name: "a" }, { name: "./a" }]), refused, '"./a" comes twice'],
  "a device": [zip([{ name: "a", unixMode: 0o020644 }]), refused, '"a" is a device'],
  "a named pipe": [zip([{ name: "a", unixMode: 0o010644 }]), refused, '"a" is a device'],
  "a socket": [zip([{ name: "a", unixMode: 0o140644 }]), refused, '"a" is a device'],
  "a setuid file": [zip([{ name: "a", unixMode: 0o104755 }]), refused, '"a" has setuid'],
  "an encrypted entry": [zip([{ name: "a", flags: 1 }]), refused, '"a" is encrypted'],
  "a strongly encrypted entry": [zip([{ name: "a", flags: 0x40 }]), refused, '"a" is encrypted'],
  "encrypted only in its own header": [zip([{ name: "a", local: { flags: 1 } }]), refused, '"a"'],
  "an unknown compression": [zip([{ name: "a", method: 14, packed: Buffer.from("x") }]), refused, '"a"'],
  "another name in its own header": [zip([{ name: "a", local: { name: "b" } }]), refused, '"a" is described'],
  "another method in its own header": [
    zip([{ name: "a", local: { method: 0 } }]),
    refused,
    '"a" is described',
  ],
  "another size in its own header": [zip([{ name: "a", ...evil, local: { size: 9 } }]), refused, '"a"'],
  "another packed size in its own header": [zip([{ name: "a", local: { packedSize: 9 } }]), refused, '"a"'],
  "another CRC in its own header": [zip([{ name: "a", ...evil, local: { crc: 9 } }]), refused, '"a"'],
  "no header where one should be": [zip([{ name: "a", local: { signature: 0 } }]), corrupt, '"a"'],
  "a header behind the end": [zip([{ name: "a", headerAt: 0x7fffffff }]), corrupt, "ends too early"],
  "two names for one piece of data": [
    zip([
      { name: "a", ...evil },
      { name: "a", ...evil, headerAt: 0, absent: true },
    ]),
    refused,
    '"a" overlaps',
  ],
  "data inside other data": [zip(nested()), refused, '"inner" overlaps'],
  "data that runs into the directory": [
    zip([{ name: "a", method: 0, body: "x", size: 40, packedSize: 40 }]),
    refused,
    '"a" overlaps',
  ],
  "a wrong CRC": [zip([{ name: "a", body: "x", crc: 1 }]), corrupt, '"a" has a wrong CRC'],
  "a wrong CRC of a large entry": [
    zip([{ name: "a", body: noise(100_000), crc: 1 }]),
    corrupt,
    '"a" has a wrong',
  ],
  "more data than declared": [zip([{ name: "a", body: "x".repeat(99), size: 9 }]), corrupt, '"a" is longer'],
  "more data than declared, large": [
    zip([{ name: "a", body: noise(300_000), size: 100_000 }]),
    corrupt,
    '"a" is longer',
  ],
  "less data than declared": [zip([{ name: "a", body: "x", size: 9 }]), corrupt, '"a" is shorter'],
  "less data than declared, large": [zip([{ name: "a", body: noise(90_000), size: 99_000 }]), corrupt, '"a"'],
  "stored in two sizes": [zip([{ name: "a", method: 0, body: "xy", size: 1 }]), corrupt, '"a"'],
  "deflate data that is none": [
    zip([{ name: "a", packed: Buffer.from("nonsense!"), size: 50 }]),
    corrupt,
    '"a"',
  ],
  "deflate data that is none, large": [
    zip([{ name: "a", packed: noise(99_000), size: 99_000 }]),
    corrupt,
    '"a"',
  ],
  "deflate data that is cut": [
    zip([{ name: "a", packed: deflateRawSync(noise(99_000)).subarray(0, 50_000), size: 99_000 }]),
    corrupt,
    '"a"',
  ],
  "other data after the deflate data": [zip([{ name: "a", ...trailing() }]), corrupt, '"a" has other data'],
  "several disks": [zip([{ name: "a" }], { disk: 1 }), refused, "disks"],
  "an entry on another disk": [zip([{ name: "a", disk: 1 }]), refused, '"a" starts on another disk'],
  "fewer entries than the directory holds": [
    zip([{ name: "a" }, { name: "b" }], { entries: 1 }),
    corrupt,
    "more",
  ],
  "more entries than the directory holds": [
    zip([{ name: "a" }], { entries: 2 }),
    corrupt,
    "directory ends too early",
  ],
  "a directory before the start": [zip([{ name: "a" }], { size: 0xfffffff }), corrupt, "not where"],
  "a directory elsewhere": [zip([{ name: "a" }], { offset: 0xfffffff }), corrupt, "not where"],
  "a directory that is damaged": [damagedDirectory(), corrupt, "directory is damaged"],
  "no end record": [zip([{ name: "a" }], { signature: 0 }), corrupt, "no central directory"],
  "a zip64 locator to nowhere": [zip64([{ name: "a" }], { recordAt: 1n << 40n }), corrupt, "too early"],
  "a zip64 locator to something else": [
    zip64([{ name: "a" }], { recordAt: 0n }),
    corrupt,
    "zip64 end record",
  ],
  "a zip64 count out of bounds": [zip64([{ name: "a" }], { entries: 1n << 63n }), corrupt, "out of bounds"],
  "a zip64 count over the limit": [zip64([{ name: "a" }], { entries: 1n << 50n }), tooLarge, "entries"],
  "a zip64 field that is too short": [
    zip([{ name: "a", size: 0xffffffff, centralExtra: Buffer.from([1, 0, 2, 0, 0, 0]) }]),
    corrupt,
    "zip64 field",
  ],
  "text in place of a zip": [Buffer.from("<html>404</html>".repeat(100)), corrupt, "not a whole zip"],
  "nothing at all": [Buffer.alloc(0), corrupt, "not a whole zip"],
  "a declared bomb": [zip([{ name: "a", size: 0x7fffffff }]), tooLarge, '"a"'],
  "a bomb in declared parts": [
    zip(Array.from({ length: 40 }, (_, n) => ({ name: `f${n}`, body: Buffer.alloc(2_000_000) }))),
    tooLarge,
    "bytes",
  ],
  "a bomb by its ratio": [
    zip([{ name: "a", body: Buffer.alloc(30_000_000) }]),
    tooLarge,
    "times its size",
    { maxRatio: 100 },
  ],
  "too many entries": [zip(many((n) => ({ name: `f${n}` }))), tooLarge, "entries", { maxEntries: 10 }],
};

function damagedDirectory(): Buffer {
  const archive = zip([{ name: "a" }, { name: "b" }]);
  archive[archive.lastIndexOf("PK\x01\x02")] = 0;
  return archive;
}

function latinName(): Buffer {
  const entry = tarEntry({ name: "caf" });
  entry[3] = 0xe9;
  entry.write(
    (Number.parseInt(entry.toString("latin1", 148, 154), 8) + 0xe9).toString(8).padStart(6, "0"),
    148,
  );
  return entry;
}

function rawPax(body: string): Buffer {
  return Buffer.concat([tarEntry({ name: "PaxHeaders/a", type: "x", body }), tarEntry({ name: "a" })]);
}

function many<T>(make: (n: number) => T): T[] {
  return Array.from({ length: 30 }, (_, n) => make(n));
}

/** Bytes deflate can't shorten, the same every time. */
function noise(length: number): Buffer {
  let state = 1;
  const bytes = Buffer.alloc(length);
  for (let at = 0; at < length; at += 1) {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    bytes[at] = state >>> 16;
  }
  return bytes;
}

function trailing() {
  const body = noise(70_000);
  return { body, packed: Buffer.concat([deflateRawSync(body), Buffer.from("more")]) };
}

/** A stored entry that holds another one's header and data, which the directory lists too. */
function nested() {
  const inner = zip([{ name: "inner", ...evil }]);
  const body = inner.subarray(0, inner.indexOf("PK\x01\x02"));
  return [
    { name: "outer", method: 0, body },
    { name: "inner", ...evil, headerAt: 30 + "outer".length, absent: true },
  ];
}

async function expectRefused(name: string, [archive, code, says, limits]: Case): Promise<void> {
  using sandbox = new Sandbox();
  const before = sandbox.outside();
  const error = await failureOf(sandbox.extract(archive, name, { ...roomy, ...limits }));
  expect({ code: error.code, message: error.message }).toMatchObject({
    code,
    message: expect.stringContaining(says),
  });
  // biome-ignore lint/suspicious/noControlCharactersInRegex: no archive may write to the operator's terminal
  expect(error.message).not.toMatch(/[\u0000-\u001f\u007f-\u009f]/);
  expect(error.hint).toBeString();
  expect(sandbox.outside()).toEqual(before);
}

for (const [group, cases] of Object.entries({ names, links, kinds, damage, bombs })) {
  describe(`a tar is not extracted for ${group}:`, () => {
    for (const [name, hostile] of Object.entries(cases)) {
      test(name, () => expectRefused("v1--app.tar", hostile));
    }
  });
  describe(`nor when compressed, ${group}:`, () => {
    for (const [name, [archive, ...rest]] of Object.entries(cases)) {
      test(name, () => expectRefused("v1--app.tar.gz", [gzipSync(archive), ...rest]));
    }
  });
}

describe("a zip is not extracted for", () => {
  for (const [name, hostile] of Object.entries(zips)) {
    test(name, () => expectRefused("v1--app.zip", hostile));
  }
});

test("a zip that declares more than is allowed is refused before anything is written", async () => {
  using sandbox = new Sandbox();
  const before = sandbox.inside();
  const archive = zip([
    { name: "a", body: "x".repeat(60) },
    { name: "b", body: "x".repeat(60) },
  ]);
  const error = await failureOf(sandbox.extract(archive, "a.zip", { ...roomy, maxBytes: 100 }));
  expect(error.code).toBe(tooLarge);
  expect(sandbox.inside()).toEqual(before);
});

describe("compressed bombs", () => {
  test("a gzip bomb stops at the limit, not at the end", async () => {
    const bomb = gzipSync(tar({ name: "zeros", body: Buffer.alloc(200_000_000) }));
    await expectRefused("a.tar.gz", [bomb, tooLarge, '"zeros"', { maxBytes: 10_000_000 }]);
  });

  test("a gzip bomb stops at the ratio", async () => {
    const bomb = gzipSync(tar({ name: "zeros", body: Buffer.alloc(60_000_000) }));
    await expectRefused("a.tar.gz", [bomb, tooLarge, "times its size", { maxRatio: 100 }]);
  });

  test("a tar whose content is a gzip stream is not inflated once more", async () => {
    const inner = gzipSync(tar({ name: "a" }));
    await expectRefused("a.tar.gz", [gzipSync(inner), corrupt, "ends"]);
    await expectRefused("a.tar", [Buffer.concat([inner, Buffer.alloc(1024)]), corrupt, "checksum"]);
  });

  for (const { suffix, tool, compress } of compressions.filter(({ tool }) => tool !== "tar")) {
    test.skipIf(!has(tool))(`a ${suffix} bomb (needs ${tool})`, async () => {
      const bomb = compress(tar({ name: "zeros", body: Buffer.alloc(50_000_000) }));
      await expectRefused(`a${suffix}`, [bomb, tooLarge, '"zeros"', { maxBytes: 10_000_000 }]);
    });
  }
});

describe("a cut or damaged archive is corrupt", () => {
  const wholeZip = zip([
    { name: "a", body: noise(3000) },
    { name: "b", body: "y" },
  ]);
  test("a tar cut anywhere", async () => {
    using sandbox = new Sandbox();
    for (let length = 0; length < good.length - 512; length += 97) {
      sandbox.empty();
      const error = await failureOf(sandbox.extract(good.subarray(0, length), "a.tar"));
      expect([length, error.code]).toEqual([length, corrupt]);
    }
  });

  test("a zip cut anywhere", async () => {
    using sandbox = new Sandbox();
    for (let length = 0; length < wholeZip.length; length += 41) {
      sandbox.empty();
      const error = await failureOf(sandbox.extract(wholeZip.subarray(0, length), "a.zip"));
      expect([length, error.code]).toEqual([length, corrupt]);
    }
  });

  for (const { suffix, tool, compress } of compressions.filter(({ suffix }) => /^\.tar\./.test(suffix))) {
    test.skipIf(!has(tool))(`a ${suffix} cut anywhere (needs ${tool})`, async () => {
      using sandbox = new Sandbox();
      const whole = compress(tar({ name: "a", body: noise(4000) }));
      for (let length = 0; length < whole.length; length += 53) {
        sandbox.empty();
        const error = await failureOf(sandbox.extract(whole.subarray(0, length), `a${suffix}`));
        expect([length, error.code]).toEqual([length, corrupt]);
      }
    });

    test.skipIf(!has(tool))(`a ${suffix} with one bit of its data wrong (needs ${tool})`, async () => {
      using sandbox = new Sandbox();
      const whole = compress(tar({ name: "a", body: noise(4000) }));
      for (let at = 1500; at < whole.length - 100; at += 211) {
        sandbox.empty();
        const bad = Buffer.from(whole);
        bad[at] = (bad[at] ?? 0) ^ 0x10;
        const error = await failureOf(sandbox.extract(bad, `a${suffix}`));
        expect([at, error.code]).toEqual([at, corrupt]);
      }
    });

    test.skipIf(!has(tool))(`a ${suffix} with other data after it (needs ${tool})`, async () => {
      using sandbox = new Sandbox();
      const whole = compress(tar({ name: "a", body: "x" }));
      for (const tail of ["garbage", "\0\0\0garbage"]) {
        sandbox.empty();
        const error = await failureOf(
          sandbox.extract(Buffer.concat([whole, Buffer.from(tail)]), `a${suffix}`),
        );
        expect([tail, error.code]).toEqual([tail, corrupt]);
      }
    });
  }
});

describe("around the archive", () => {
  test("an unknown suffix is refused, with those that are known", async () => {
    using sandbox = new Sandbox();
    const error = await failureOf(sandbox.extract(good, "app.rar"));
    expect(error.code).toBe(refused);
    expect(error.message).toContain('"app.rar"');
    expect(error.hint).toContain(".tar.gz");
  });

  test("an archive that is not there is a filesystem error", async () => {
    using sandbox = new Sandbox();
    sandbox.write(good, "a.tar");
    const { extractArchive } = await import("../../../src/artifact/extract/extract.ts");
    const c = { signal: new AbortController().signal };
    const error = await failureOf(extractArchive(`${sandbox.base}/b.tar`, sandbox.into, roomy, c));
    expect(error.code).toBe("filesystem");
  });

  test("what is already there is never written over", async () => {
    using sandbox = new Sandbox();
    await sandbox.extract(tar({ name: "a" }), "a.tar");
    const before = sandbox.inside();
    const error = await failureOf(sandbox.extract(tar({ name: "a", ...evil }), "a.tar"));
    expect(error.code).toBe("filesystem");
    expect(error.message).toContain('"a"');
    expect(sandbox.inside()).toEqual(before);
  });

  test.skipIf(!canMount)("a full disk is named as such, with the entry (needs root)", async () => {
    using sandbox = new Sandbox();
    await using _disk = mountTmpfs(sandbox.into, "size=1m");
    const archive = tar({ name: "fits" }, { name: "too-large", body: noise(2_000_000) });
    const error = await failureOf(sandbox.extract(archive, "a.tar"));
    expect(error.code).toBe("disk-full");
    expect(error.message).toContain('"too-large"');
  });

  test("an abort ends it with the signal's reason, and leaves no file open", async () => {
    using sandbox = new Sandbox();
    const reason = new Error("deploy cancelled");
    const archive = gzipSync(tar({ name: "a", body: noise(20_000_000) }), { level: 1 });
    const open = readdirSync("/proc/self/fd").length;
    const controller = new AbortController();
    const work = sandbox.extract(archive, "a.tar.gz", roomy, controller.signal);
    controller.abort(reason);
    expect(await work.catch((error: unknown) => error)).toBe(reason);
    const early = sandbox.extract(archive, "a.tar.gz", roomy, controller.signal);
    expect(await early.catch((error: unknown) => error)).toBe(reason);
    expect(readdirSync("/proc/self/fd").length).toBe(open);
  });

  test("a record's own length is right in this test's builder", () => {
    for (const value of ["x", "x".repeat(90), "x".repeat(991), "é".repeat(50)]) {
      const record = paxRecord("path", value);
      expect(Number.parseInt(record, 10)).toBe(Buffer.byteLength(record));
    }
  });
});
