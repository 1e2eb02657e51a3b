import { describe, expect, test } from "bun:test";
import { expectedDigests, verifyArtifact } from "../../src/artifact/verify.ts";
import { HttpClient } from "../../src/http/client.ts";
import { openRanged } from "../../src/http/range.ts";
import { silentLog } from "../../src/log.ts";
import type { DeployableRelease, Digest, ReleaseFile } from "../../src/release/release.ts";
import type { ArtifactSource } from "../../src/release/source.ts";
import { FakeClock } from "../support/clock.ts";
import { FlakyServer } from "../support/flaky-server.ts";

const c = { signal: new AbortController().signal };
const name = "app.tar.gz";
const bytes = "bytes of the app";
const right: Digest = `sha256:${Bun.SHA256.hash(bytes, "hex")}`;
const wrong: Digest = `sha256:${"e".repeat(64)}`;

interface Published {
  readonly digest?: Digest;
  readonly checksums?: Readonly<Record<string, string>>;
  readonly digestOf?: Readonly<Record<string, Digest>>;
}

function release(server: FlakyServer, published: Published): DeployableRelease {
  const file = (fileName: string, content: string, digest: Digest | null): ReleaseFile => {
    server.put(`/${fileName}`, content);
    return {
      name: fileName,
      url: `${server.url}/${fileName}`,
      sizeBytes: content.length,
      digest,
      revision: null,
    };
  };
  const artifact = file(name, bytes, published.digest ?? null);
  const checksums = Object.entries(published.checksums ?? {}).map(([fileName, content]) =>
    file(fileName, content, published.digestOf?.[fileName] ?? null),
  );
  return { tag: "v1.0.0", createdAt: null, artifact, files: [artifact, ...checksums] };
}

function source(): ArtifactSource {
  const http = new HttpClient({ clock: new FakeClock(), log: silentLog, userAgent: "dewy/0" });
  return { open: (file, resume, call) => openRanged(http, { url: file.url, doing: "fetch" }, resume, call) };
}

const good = right.slice(7);
const bad = wrong.slice(7);

describe("bytes that are right", () => {
  const table: [string, Published, string[]][] = [
    ["nothing published", {}, []],
    ["the registry's digest", { digest: right }, ["registry digest"]],
    ["a sidecar", { checksums: { [`${name}.sha256`]: good } }, [`${name}.sha256`]],
    ["an aggregate", { checksums: { SHA256SUMS: `${bad}  x\n${good}  ${name}\n` } }, ["SHA256SUMS"]],
    [
      "both",
      { digest: right, checksums: { [`${name}.sha256`]: good } },
      ["registry digest", `${name}.sha256`],
    ],
    [
      "the sidecar speaks before the aggregate",
      { checksums: { SHA256SUMS: `${bad}  ${name}\n`, [`${name}.sha256`]: good } },
      [`${name}.sha256`],
    ],
    [
      "a file that lists others only is passed over",
      { checksums: { SHA256SUMS: `${bad}  x\n`, "checksums.txt": `${good}  ${name}\n` } },
      ["checksums.txt"],
    ],
  ];
  test.each(table)("%s", async (_, published, checkedAgainst) => {
    await using server = await FlakyServer.start();
    const subject = { release: release(server, published), digest: right };
    expect(await verifyArtifact(subject, source(), c)).toEqual({ checkedAgainst });
  });
});

describe("refused as digest-mismatch", () => {
  const table: [string, Published, string[]][] = [
    ["the registry's digest", { digest: wrong }, [right, wrong, "registry digest"]],
    ["a sidecar", { checksums: { [`${name}.sha256`]: bad } }, [right, wrong, `${name}.sha256`]],
    ["an aggregate", { checksums: { "checksums.txt": `${bad} *${name}` } }, [right, wrong, "checksums.txt"]],
    [
      "a sidecar though the registry's digest is right",
      { digest: right, checksums: { [`${name}.sha256`]: bad } },
      [right, wrong, `${name}.sha256`],
    ],
    ["garbage", { checksums: { [`${name}.sha256`]: "<html>" } }, ["bad checksum file", `${name}.sha256`]],
    [
      "a checksum file that is not the one the registry lists",
      { checksums: { SHA256SUMS: good }, digestOf: { SHA256SUMS: wrong } },
      ["bad checksum file", wrong],
    ],
    [
      "a checksum file of megabytes",
      { checksums: { SHA256SUMS: "# \n".repeat(500_000) } },
      ["bad checksum file", "larger"],
    ],
  ];
  test.each(table)("%s", async (_, published, words) => {
    await using server = await FlakyServer.start();
    const subject = { release: release(server, published), digest: right };
    const error = await verifyArtifact(subject, source(), c).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: "digest-mismatch", blame: "release" });
    for (const word of words) expect(String(error)).toContain(word);
  });
});

test("a contradiction is found before the download", async () => {
  await using server = await FlakyServer.start();
  const contradictory = release(server, { digest: right, checksums: { [`${name}.sha256`]: bad } });
  await expect(expectedDigests(contradictory, source(), c)).rejects.toMatchObject({
    code: "digest-mismatch",
  });
  expect(server.requests.map((request) => request.path)).toEqual([`/${name}.sha256`]);
});

test.each([
  ["missing", { reply: { status: 404 } }, "not-found"],
  ["out of reach", { reply: { status: 500 } }, "http-status"],
  ["cut", { cutAfter: 5 }, "network-unreachable"],
] as const)(
  "a listed checksum file that is %s fails closed, and is no fault of the release",
  async (_, how, code) => {
    await using server = await FlakyServer.start();
    const subject = { release: release(server, { checksums: { SHA256SUMS: good } }), digest: right };
    server.fail(how);
    const verified = verifyArtifact(subject, source(), c);
    await expect(verified).rejects.toMatchObject({ code, blame: "environment" });
  },
);
