import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import {
  chmodSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { zipSync } from "fflate";
import { archiveSuffixes, isArchiveName } from "../../../src/artifact/extract/extract.ts";
import { endOfTar, gnuLong, pax, tar, tarEntry, zip, zip64 } from "./build.ts";
import { failureOf, Sandbox } from "./sandbox.ts";
import { compressions, has, run } from "./tools.ts";

const long = `${"deep/".repeat(30)}${"n".repeat(150)}`;
let source = "";

/** A release with everything an ordinary one may have. */
beforeAll(() => {
  source = mkdtempSync(join(tmpdir(), "dewy-release-"));
  mkdirSync(join(source, "bin"));
  mkdirSync(join(source, "empty"));
  mkdirSync(join(source, "private"), { mode: 0o700 });
  mkdirSync(join(source, "readonly"));
  mkdirSync(join(source, "deep/".repeat(30)), { recursive: true });
  writeFileSync(join(source, "bin/app"), "#!/bin/sh\nexit 0\n");
  chmodSync(join(source, "bin/app"), 0o755);
  writeFileSync(join(source, "private/key"), "secret", { mode: 0o600 });
  writeFileSync(join(source, "readonly/file"), "read me", { mode: 0o444 });
  chmodSync(join(source, "readonly"), 0o555);
  writeFileSync(join(source, "empty.txt"), "");
  writeFileSync(join(source, "日本 – é.txt"), "unicode");
  writeFileSync(join(source, "back\\slash"), "legal");
  writeFileSync(join(source, long), "long name");
  writeFileSync(join(source, "random.bin"), randomBytes(5 * 1024 * 1024));
  symlinkSync("bin/app", join(source, "app"));
  symlinkSync("../bin/app", join(source, "private/app"));
  symlinkSync("not-there-yet", join(source, "dangling"));
  linkSync(join(source, "random.bin"), join(source, "random-again.bin"));
});

afterAll(() => {
  chmodSync(join(source, "readonly"), 0o755);
  rmSync(source, { recursive: true });
});

function randomBytes(length: number): Buffer {
  const bytes = Buffer.alloc(length);
  for (let at = 0; at < length; at += 65536) crypto.getRandomValues(bytes.subarray(at, at + 65536));
  return bytes;
}

function expectRelease(into: string, hardLinks: boolean): void {
  const mode = (path: string) => statSync(join(into, path)).mode & 0o7777;
  expect(readFileSync(join(into, "random.bin")).equals(readFileSync(join(source, "random.bin")))).toBe(true);
  expect(readFileSync(join(into, "random-again.bin")).length).toBe(5 * 1024 * 1024);
  expect(readFileSync(join(into, long), "utf8")).toBe("long name");
  expect(readFileSync(join(into, "日本 – é.txt"), "utf8")).toBe("unicode");
  expect(readFileSync(join(into, "app"), "utf8")).toContain("exit 0");
  expect(statSync(join(into, "empty.txt")).size).toBe(0);
  expect(lstatSync(join(into, "empty")).isDirectory()).toBe(true);
  expect([mode("bin/app"), mode("private/key"), mode("readonly/file")]).toEqual([0o755, 0o600, 0o444]);
  expect([mode("bin"), mode("private"), mode("readonly")]).toEqual([0o755, 0o700, 0o555]);
  expect(readlinkSync(join(into, "private/app"))).toBe("../bin/app");
  expect(readlinkSync(join(into, "dangling"))).toBe("not-there-yet");
  if (hardLinks) {
    expect(statSync(join(into, "random.bin")).ino).toBe(statSync(join(into, "random-again.bin")).ino);
  }
}

describe("every kind of archive comes out as it was packed", () => {
  for (const { suffix, tool, compress } of compressions) {
    for (const format of tool === "tar" ? ["gnu", "pax"] : ["gnu"]) {
      test.skipIf(!has(tool) || !has("tar"))(`${suffix} in ${format} format (needs ${tool})`, async () => {
        using sandbox = new Sandbox();
        const packed = run(["tar", `--format=${format}`, "-C", source, "-cf", "-", "."]);
        const summary = await sandbox.extract(compress(packed), `v1.2.3--app${suffix}`);
        expectRelease(sandbox.into, true);
        expect(readFileSync(join(sandbox.into, "back\\slash"), "utf8")).toBe("legal");
        expect(summary).toMatchObject({ files: 8, symlinks: 3, hardLinks: 1, directories: 34 });
        expect(summary.bytes).toBe(5 * 1024 * 1024 + 17 + 6 + 7 + 7 + 5 + 9);
      });
    }
  }

  test.skipIf(!has("zip"))(".zip by Info-ZIP (needs zip)", async () => {
    using sandbox = new Sandbox();
    const path = join(sandbox.base, "app.zip");
    run(["zip", "-qry", path, ".", "-x", "./back*"], undefined, source);
    const summary = await sandbox.extract(readFileSync(path), "APP.ZIP");
    expectRelease(sandbox.into, false);
    expect(summary).toMatchObject({ files: 8, symlinks: 3, hardLinks: 0 });
  });

  test("the suffixes tested are those that are supported", () => {
    const tested = [...compressions.map(({ suffix }) => suffix), ".zip"].sort();
    expect([...archiveSuffixes].sort()).toEqual(tested);
    expect(isArchiveName("x/v1--App.TAR.GZ")).toBe(true);
    expect(isArchiveName("app.tar.zst")).toBe(false);
    expect(isArchiveName("app")).toBe(false);
  });
});

describe("compressed streams of several parts come out whole", () => {
  const whole = tar({ name: "a", body: "x".repeat(3000) }, { name: "b", body: "y".repeat(3000) });
  const parts = [whole.subarray(0, 700), whole.subarray(700, 4000), whole.subarray(4000)];
  for (const suffix of [".tar.gz", ".tar.bz2", ".tar.xz"]) {
    const how = compressions.find((compression) => compression.suffix === suffix);
    test.skipIf(how === undefined || !has(how.tool))(`${suffix} (needs ${how?.tool})`, async () => {
      using sandbox = new Sandbox();
      const archive = Buffer.concat(parts.map((part) => how?.compress(part) ?? part));
      expect(await sandbox.extract(archive, `a${suffix}`)).toMatchObject({ files: 2, bytes: 6000 });
    });
  }

  test("gzip members that meet at the edge of a read, and zeros after the last", async () => {
    using sandbox = new Sandbox();
    const body = randomBytes(3 * 1024 * 1024);
    const plain = tar({ name: "a", body });
    const stored = (bytes: Uint8Array) => gzipSync(bytes, { level: 0 });
    // A stored member of this many bytes ends exactly with the first MiB that is read.
    let first = 1024 * 1024 - 18;
    while (stored(plain.subarray(0, first)).length > 1024 * 1024) first -= 1;
    const members = [
      stored(plain.subarray(0, first)),
      stored(plain.subarray(first)),
      Buffer.alloc(3_000_000),
    ];
    expect(members[0]?.length).toBe(1024 * 1024);
    expect(await sandbox.extract(Buffer.concat(members), "a.tar.gz")).toMatchObject({ bytes: body.length });
    expect(readFileSync(join(sandbox.into, "a")).equals(body)).toBe(true);
  });

  test.skipIf(!has("xz"))("xz with SHA-256 checks is refused with the way out (needs xz)", async () => {
    using sandbox = new Sandbox();
    const archive = run(["xz", "-c", "--check=sha256"], tar({ name: "a" }));
    const error = await failureOf(sandbox.extract(archive, "a.tar.xz"));
    expect(error.code).toBe("archive-refused");
    expect(error.message).toContain("SHA-256");
    expect(error.hint).toContain("--check=crc64");
  });
});

describe("tar variants", () => {
  const cases: Record<string, { archive: Buffer; files: Record<string, string> }> = {
    "no ./ prefix, parents only implied": {
      archive: tar({ name: "a/b/c", body: "1" }),
      files: { "a/b/c": "1" },
    },
    "./ before everything": {
      archive: tar({ name: "./", type: "5" }, { name: "./a", body: "1" }),
      files: { a: "1" },
    },
    "a v7 header, a directory told by its slash": {
      archive: tar({ name: "d/", magic: "" }, { name: "d/a", body: "1", magic: "" }),
      files: { "d/a": "1" },
    },
    "a ustar prefix": {
      archive: tar({ name: "c", prefix: "a/b", body: "1" }),
      files: { "a/b/c": "1" },
    },
    "a GNU long name": {
      archive: tar(gnuLong("L", `${"x/".repeat(80)}y`), { body: "1" }),
      files: { [`${"x/".repeat(80)}y`]: "1" },
    },
    "a PAX path over a short name, and a prefix that is not to be put before it": {
      archive: tar(pax({ path: "real/é" }), { name: "fake", prefix: "pre", body: "1" }),
      files: { "real/é": "1" },
    },
    "a PAX size over the header's": {
      archive: tar(pax({ size: "3" }), { name: "a", body: "123", size: "00000000000\0" }),
      files: { a: "123" },
    },
    "a global header as git archive writes it": {
      archive: tar(pax({ comment: "0123456789abcdef" }, "g"), { name: "a", body: "1" }),
      files: { a: "1" },
    },
    "PAX values with newlines and records dewy has no use for": {
      archive: tar(pax({ comment: "two\nlines", "SCHILY.xattr.user.x": "1\n2", path: "a" }), { body: "1" }),
      files: { a: "1" },
    },
    "a PAX header longer than a block, with characters across the edge": {
      archive: tar(pax({ path: `é${"日本/".repeat(170)}z` }), { body: "1" }),
      files: { [`é${"日本/".repeat(170)}z`]: "1" },
    },
    "a directory that comes again": {
      archive: tar(
        { name: "d/", type: "5" },
        { name: "d/a", body: "1" },
        { name: "d", type: "5", mode: 0o700 },
      ),
      files: { "d/a": "1" },
    },
    "a directory after its content": {
      archive: tar({ name: "d/a", body: "1" }, { name: "d/", type: "5", mode: 0o500 }),
      files: { "d/a": "1" },
    },
    "trailing garbage after the end mark, as GNU tar": {
      archive: Buffer.concat([tar({ name: "a", body: "1" }), Buffer.from("anything at all")]),
      files: { a: "1" },
    },
    "a contiguous file": { archive: tar({ name: "a", body: "1", type: "7" }), files: { a: "1" } },
    "names that differ only in case": {
      archive: tar({ name: "A", body: "1" }, { name: "a", body: "2" }),
      files: { A: "1", a: "2" },
    },
    "a link to the root of the release": {
      archive: tar({ name: "d/up", type: "2", linkname: "..", mode: 0o777 }, { name: "a", body: "1" }),
      files: { a: "1" },
    },
  };
  for (const [name, { archive, files }] of Object.entries(cases)) {
    for (const suffix of [".tar", ".tar.gz"]) {
      test(`${name} (${suffix})`, async () => {
        using sandbox = new Sandbox();
        await sandbox.extract(suffix === ".tar" ? archive : gzipSync(archive), `a${suffix}`);
        for (const [path, body] of Object.entries(files)) {
          expect(readFileSync(join(sandbox.into, path), "utf8")).toBe(body);
        }
      });
    }
  }

  test("the end mark may be missing where a checksum proves the stream whole, and only there", async () => {
    using sandbox = new Sandbox();
    const open = tarEntry({ name: "a", body: "1" });
    const half = Buffer.concat([open, endOfTar.subarray(0, 512)]);
    expect(await sandbox.extract(gzipSync(open), "a.tar.gz")).toMatchObject({ files: 1 });
    sandbox.empty();
    expect(await sandbox.extract(gzipSync(half), "a.tar.gz")).toMatchObject({ files: 1 });
    for (const archive of [open, half]) {
      sandbox.empty();
      expect((await failureOf(sandbox.extract(archive, "a.tar"))).code).toBe("archive-corrupt");
    }
  });

  test("write permission for group and others is taken away", async () => {
    using sandbox = new Sandbox();
    await sandbox.extract(tar({ name: "d/", type: "5", mode: 0o777 }, { name: "d/a", mode: 0o666 }), "a.tar");
    expect(statSync(join(sandbox.into, "d")).mode & 0o7777).toBe(0o755);
    expect(statSync(join(sandbox.into, "d/a")).mode & 0o7777).toBe(0o644);
  });

  test("modification times of files are kept, where a disk can keep them", async () => {
    using sandbox = new Sandbox();
    const archive = tar(
      { name: "a" },
      pax({ mtime: "1600000000.5" }),
      { name: "b", body: "1" },
      pax({ mtime: "99999999999" }),
      { name: "c" },
      pax({ mtime: "1" }, "g"),
      { name: "d" },
    );
    await sandbox.extract(archive, "a.tar");
    const times = ["a", "b", "d"].map((name) => statSync(join(sandbox.into, name)).mtimeMs);
    expect(times).toEqual([1_700_000_000_000, 1_600_000_000_500, 1_700_000_000_000]);
    expect(statSync(join(sandbox.into, "c")).isFile()).toBe(true);
  });

  test("the directory to extract into keeps its mode, whatever ./ says", async () => {
    using sandbox = new Sandbox();
    chmodSync(sandbox.into, 0o750);
    await sandbox.extract(tar({ name: "./", type: "5", mode: 0 }, { name: "./a", body: "a" }), "a.tar");
    expect(statSync(sandbox.into).mode & 0o7777).toBe(0o750);
  });
});

describe("zip variants", () => {
  test("made by fflate, without modes", async () => {
    using sandbox = new Sandbox();
    const archive = zipSync({ "a/b": Buffer.from("1"), c: [Buffer.from("2"), { level: 0 }] });
    expect(await sandbox.extract(archive, "a.zip")).toMatchObject({ files: 2, bytes: 2 });
    expect(statSync(join(sandbox.into, "c")).mode & 0o7777).toBe(0o644);
  });

  test("sizes after the data, a comment, data before and after the archive", async () => {
    using sandbox = new Sandbox();
    const later = { name: "a", body: "later", flags: 0x0808, local: { size: 0, packedSize: 0, crc: 0 } };
    const archive = zip([later], { comment: "a comment" });
    const shell = Buffer.concat([Buffer.from("#!/bin/sh\n"), archive, Buffer.from("trailing")]);
    await sandbox.extract(shell, "a.zip");
    expect(readFileSync(join(sandbox.into, "a"), "utf8")).toBe("later");
  });

  test("zip64 end records", async () => {
    using sandbox = new Sandbox();
    expect(await sandbox.extract(zip64([{ name: "a", body: "1" }]), "a.zip")).toMatchObject({ bytes: 1 });
  });

  test.skipIf(!has("python3"))("zip64 entries streamed by python (needs python3)", async () => {
    using sandbox = new Sandbox();
    const path = join(sandbox.base, "a.zip");
    const script = [
      "import sys,zipfile",
      "z=zipfile.ZipFile(sys.argv[1],'w',zipfile.ZIP_DEFLATED)",
      "with z.open(zipfile.ZipInfo('stored'),'w',force_zip64=True) as f: f.write(b'ab'*500000)",
      "i=zipfile.ZipInfo('deflated'); i.compress_type=zipfile.ZIP_DEFLATED; i.external_attr=0o100755<<16",
      "with z.open(i,'w',force_zip64=True) as f: f.write(b'cd'*500000)",
      "z.close()",
    ].join("\n");
    run(["python3", "-c", script, path]);
    const summary = await sandbox.extract(readFileSync(path), "b.zip");
    expect(summary).toMatchObject({ files: 2, bytes: 2_000_000 });
    expect(statSync(join(sandbox.into, "deflated")).mode & 0o7777).toBe(0o755);
    expect(readFileSync(join(sandbox.into, "stored"), "utf8")).toBe("ab".repeat(500_000));
  });
});
