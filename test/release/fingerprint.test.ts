import { expect, test } from "bun:test";
import { checksumFiles } from "../../src/release/checksum-files.ts";
import { fingerprint as printOf, setupOf } from "../../src/release/fingerprint.ts";
import type { Digest, ReleaseFile } from "../../src/release/release.ts";

function file(name: string, revision: string | null = "1", digest: Digest | null = null): ReleaseFile {
  return { name, url: `x:///${name}`, sizeBytes: 1, digest, revision };
}

function release(...files: ReleaseFile[]) {
  const artifact = files[0] ?? file("app.zip");
  return { tag: "v1.0.0", createdAt: null, artifact, files };
}

const fingerprint = (of: Parameters<typeof printOf>[0]) => printOf(of, "");

const before = fingerprint(release(file("app.zip"), file("SHA256SUMS"), file("notes.md")));

test.each([
  ["the artifact's content", release(file("app.zip", "2"), file("SHA256SUMS"), file("notes.md"))],
  ["the artifact's name", release(file("other.zip"), file("SHA256SUMS"), file("notes.md"))],
  ["a checksum file's content", release(file("app.zip"), file("SHA256SUMS", "2"), file("notes.md"))],
  ["a checksum file that is gone", release(file("app.zip"), file("notes.md"))],
  ["a new sidecar", release(file("app.zip"), file("app.zip.sha256"), file("SHA256SUMS"))],
])("%s changes it", (_, changed) => {
  expect(fingerprint(changed)).not.toBe(before);
});

test("other files, the order and the tag do not change it", () => {
  const same = release(file("app.zip"), file("more.md"), file("SHA256SUMS"), file("notes.md", "9"));
  expect(fingerprint({ ...same, tag: "v2.0.0" })).toBe(before);
});

test("another setup of the host is another chance", () => {
  const same = release(file("app.zip"), file("SHA256SUMS"));
  expect(printOf(same, "one")).not.toBe(printOf(same, "two"));
  expect(setupOf(printOf(same, "one"))).toBe("one");
  expect(setupOf(printOf(same, ""))).toBe("");
});

test("with a digest, uploading the same bytes again is no change", () => {
  const digest: Digest = `sha256:${"a".repeat(64)}`;
  expect(fingerprint(release(file("app.zip", "1", digest)))).toBe(
    fingerprint(release(file("app.zip", "2", digest))),
  );
});

test("sidecars come before aggregates, the more usual first; other artifacts' sidecars do not count", () => {
  const names = [
    "Checksums.TXT",
    "app.zip.sha256sums",
    "app_1.0_checksums.txt",
    "app.zip",
    "app.zip.sha256sum",
    "SHA256SUMS",
    "app-1.0_SHA256SUMS",
    "app.zip.SHA256",
    "app.zip.sha256.txt",
    "app.zip.sha256.asc",
    "SHA256SUMS.sig",
    "SHA512SUMS",
    "other.zip",
    "other.zip.sha256sum",
    "checksums.md",
  ];
  const plan = checksumFiles(
    names.map((name) => file(name)),
    "app.zip",
  );
  expect(plan.map((entry) => `${entry.kind} ${entry.file.name}`)).toEqual([
    "sidecar app.zip.SHA256",
    "sidecar app.zip.sha256sum",
    "sidecar app.zip.sha256.txt",
    "sidecar app.zip.sha256sums",
    "aggregate Checksums.TXT",
    "aggregate SHA256SUMS",
    "aggregate app-1.0_SHA256SUMS",
    "aggregate app_1.0_checksums.txt",
  ]);
});
