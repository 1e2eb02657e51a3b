import { describe, expect, test } from "bun:test";
import {
  appendFileSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { downloadArtifact } from "../../src/artifact/download.ts";
import { openBucket } from "../../src/registry/bucket/registry.ts";
import { bucketSource } from "../../src/registry/bucket/source.ts";
import type { DeployRecord } from "../../src/release/release.ts";
import type { SelectPolicy } from "../../src/release/select.ts";
import { semverScheme } from "../../src/release/semver.ts";
import { openLocalStore, readLocalUrl } from "../../src/store/local.ts";
import { FakeClock } from "../support/clock.ts";
import { tempDir } from "../support/temp-dir.ts";
import { mountTmpfs } from "../support/tmpfs.ts";
import { contractPlatform, registryContract } from "./contract.ts";

const c = { signal: new AbortController().signal };
const policy: SelectPolicy = { scheme: semverScheme(null), preRelease: false, slot: null };

registryContract("file://", async () => {
  const dir = tempDir();
  return {
    async publish(tag, files) {
      mkdirSync(join(dir.path, tag), { recursive: true });
      for (const [name, body] of Object.entries(files)) {
        // As one should publish: written elsewhere, then moved.
        writeFileSync(join(dir.path, tag, ".partial"), body);
        renameSync(join(dir.path, tag, ".partial"), join(dir.path, tag, name));
      }
    },
    async remove(tag) {
      rmSync(join(dir.path, tag), { recursive: true });
    },
    async reports(tag) {
      const names = readdirSync(join(dir.path, tag)).filter((name) => name.startsWith("shipped_to_"));
      return names.map((name) => readFileSync(join(dir.path, tag, name), "utf8"));
    },
    open: async (wanted) => openBucket(openLocalStore(dir.path), options(wanted)),
    [Symbol.asyncDispose]: async () => dir[Symbol.dispose](),
  };
});

describe("a directory as registry", () => {
  test("that is missing is an error with a hint, until it is there", async () => {
    using dir = tempDir();
    const path = join(dir.path, "releases");
    await using registry = open(path);
    await expect(registry.latest(c)).rejects.toMatchObject({
      code: "not-found",
      retryable: true,
      hint: expect.stringContaining("mount"),
    });
    await expect(registry.find("v1.0.0", c)).rejects.toMatchObject({ code: "not-found" });
    mkdirSync(path);
    expect(await registry.latest(c)).toEqual({ release: null, otherSlot: null });
  });

  test("hidden files, directories and broken links are no files of a release", async () => {
    using dir = tempDir();
    publish(dir.path, "v1.0.0", {
      "app_linux_amd64.tar.gz": "app",
      ".app_linux_amd64.tar.gz.part": "half",
      ".hidden": "",
    });
    mkdirSync(join(dir.path, "v1.0.0", "docs_linux_amd64.tar.gz"));
    symlinkSync("nowhere", join(dir.path, "v1.0.0", "gone_linux_amd64.tar.gz"));
    await using registry = open(dir.path);
    const { release } = await registry.latest(c);
    expect(release?.files.map(({ name }) => name)).toEqual(["app_linux_amd64.tar.gz"]);
  });

  test("a release, and a file in it, may be a link; a link that leads nowhere hides no other", async () => {
    using dir = tempDir();
    publish(dir.path, "v1.0.0", { "build.tar.gz": "app" });
    symlinkSync("build.tar.gz", join(dir.path, "v1.0.0", "app_linux_amd64.tar.gz"));
    symlinkSync("v1.0.0", join(dir.path, "v1.1.0"));
    symlinkSync("v7.7.7", join(dir.path, "v9.0.0"));
    writeFileSync(join(dir.path, "v8.0.0"), "a file, no release");
    await using registry = open(dir.path);
    const { release } = await registry.latest(c);
    expect(release).toMatchObject({ tag: "v1.1.0", artifact: { name: "app_linux_amd64.tar.gz" } });
  });

  test("an artifact is chosen by its name when one is given", async () => {
    using dir = tempDir();
    publish(dir.path, "v1.0.0", { "app_linux_amd64.tar.gz": "a", "other.zip": "b" });
    const { registry } = openBucket(openLocalStore(dir.path), { ...options(policy), artifact: "other.zip" });
    expect((await registry.latest(c)).release?.artifact?.name).toBe("other.zip");
  });

  test("a new release counts as new, also when its files keep the times they were built at", async () => {
    using dir = tempDir();
    const before = Date.now();
    publish(dir.path, "v1.0.0", { "README.md": "x" });
    utimesSync(join(dir.path, "v1.0.0", "README.md"), new Date("2020-01-01"), new Date("2020-01-01"));
    await using registry = open(dir.path);
    const { release } = await registry.latest(c);
    expect(release?.createdAt?.getTime()).toBeGreaterThan(before - 5000);
    expect(release?.createdAt?.getTime()).toBeLessThan(Date.now() + 5000);
  });

  test("a directory in which nothing is published yet is no release yet", async () => {
    using dir = tempDir();
    publish(dir.path, "v1.0.0", { "app_linux_amd64.tar.gz": "a" });
    publish(dir.path, "v2.0.0", {});
    publish(dir.path, "v3.0.0", { ".app_linux_amd64.tar.gz.part": "half" });
    await using registry = open(dir.path);
    expect((await registry.latest(c)).release?.tag).toBe("v1.0.0");
  });

  test("looking creates nothing", async () => {
    using dir = tempDir();
    publish(dir.path, "v1.0.0", { "app_linux_amd64.tar.gz": "a" });
    await using registry = open(dir.path);
    await registry.latest(c);
    await registry.find("v2.0.0", c);
    expect(readdirSync(dir.path)).toEqual(["v1.0.0"]);
    expect(readdirSync(join(dir.path, "v1.0.0"))).toEqual(["app_linux_amd64.tar.gz"]);
  });

  test.each(["", ".", "..", ".hidden", "../v1.0.0", "v1.0.0/../v1.0.0", "v2.0.0"])(
    "find(%j) finds nothing",
    async (tag) => {
      using dir = tempDir();
      publish(dir.path, "v1.0.0", { "app_linux_amd64.tar.gz": "a" });
      await using registry = open(dir.path);
      expect(await registry.find(tag, c)).toBeNull();
    },
  );

  test("a read-only directory refuses the report for good", async () => {
    using dir = tempDir();
    await using disk = mountTmpfs(dir.path, "size=1m");
    publish(dir.path, "v1.0.0", { "app_linux_amd64.tar.gz": "a" });
    disk.remount("ro");
    await using registry = open(dir.path);
    expect((await registry.latest(c)).release?.tag).toBe("v1.0.0");
    await expect(registry.report(record, c)).rejects.toMatchObject({
      code: "unauthorized",
      retryable: false,
      hint: expect.stringContaining("--no-report"),
    });
  });

  test("a full disk refuses the report for now", async () => {
    using dir = tempDir();
    await using _ = mountTmpfs(dir.path, "size=64k,nr_inodes=20");
    publish(dir.path, "v1.0.0", { "app_linux_amd64.tar.gz": "a" });
    fill(dir.path);
    await using registry = open(dir.path);
    await expect(registry.report(record, c)).rejects.toMatchObject({ code: "disk-full", retryable: true });
  });

  test.each([
    ["no directory", () => undefined],
    ["a file in its place", (path: string) => writeFileSync(path, "")],
  ])("a report for a release with %s is given up", async (_, prepare) => {
    using dir = tempDir();
    prepare(join(dir.path, "v1.0.0"));
    await using registry = open(dir.path);
    await expect(registry.report(record, c)).rejects.toMatchObject({ code: "not-found", retryable: false });
  });

  test("a report is named as the sheet says, and is no artifact even where its name would do", async () => {
    using dir = tempDir();
    publish(dir.path, "v1.0.0", { "README.md": "x" });
    await using registry = open(dir.path);
    await registry.report({ ...record, host: "Linux_AMD64" }, c);
    const report = "shipped_to_linux-amd64_server_at_20261121T093646.123000000Z.txt";
    expect(readdirSync(join(dir.path, "v1.0.0")).sort()).toEqual(["README.md", report]);
    const { release } = await registry.latest(c);
    expect(release).toMatchObject({ artifact: null, files: [{ name: "README.md" }] });
  });

  test("a file that grows while it is copied is not taken for whole", async () => {
    using dir = tempDir();
    publish(dir.path, "v1.0.0", { "app_linux_amd64.tar.gz": "first half " });
    await using registry = open(dir.path);
    const artifact = (await registry.latest(c)).release?.artifact;
    if (!artifact) throw new Error("no artifact");
    appendFileSync(join(dir.path, "v1.0.0", artifact.name), "second half");
    const copy = join(dir.path, "copy");
    const rules = { maxBytes: 1e6, expected: [] };
    const clock = { clock: new FakeClock() };
    await expect(downloadArtifact(sourceOf(dir.path), artifact, copy, rules, clock, c)).rejects.toMatchObject(
      {
        code: "bad-answer",
      },
    );
    expect(await Bun.file(copy).exists()).toBe(false);
    const grown = (await registry.latest(c)).release?.artifact;
    expect(grown?.revision).not.toBe(artifact.revision);
  });

  test("a chunk that was read is still right after the next one", async () => {
    using dir = tempDir();
    const bytes = Buffer.concat([
      Buffer.alloc(1024 * 1024, 1),
      Buffer.alloc(1024 * 1024, 2),
      Buffer.from("3"),
    ]);
    writeFileSync(join(dir.path, "file"), bytes);
    const body = await sourceOf(dir.path).open(file(join(dir.path, "file")), null, c);
    let total = 0;
    for await (const chunk of body.chunks) {
      expect(chunk[0]).toBe(bytes[total]);
      expect(chunk.at(-1)).toBe(bytes[total + chunk.length - 1]);
      total += chunk.length;
    }
    expect(total).toBe(bytes.length);
  });

  test("the same bytes under another inode are another content: they are not resumed", async () => {
    using dir = tempDir();
    const path = join(dir.path, "file");
    writeFileSync(path, "0123456789");
    const first = await sourceOf(dir.path).open(file(path), null, c);
    await Array.fromAsync(first.chunks);
    const { validator } = first;
    linkSync(path, `${path}.old`);
    writeFileSync(`${path}.new`, "0123456789");
    renameSync(`${path}.new`, path);
    const again = await sourceOf(dir.path).open(file(path), { offset: 5, validator: validator ?? "" }, c);
    expect(again.offset).toBe(0);
    await Array.fromAsync(again.chunks);
  });

  test("may be polled as often as one likes", async () => {
    await using registry = open("/nowhere");
    expect(registry.minIntervalMs()).toBe(0);
  });
});

describe("a directory's URL", () => {
  test.each([
    ["file:///srv/releases", "/srv/releases"],
    ["file:///srv/releases/", "/srv/releases"],
    ["file:///srv/my%20app?pre-release=true", "/srv/my app"],
  ])("%s names %s", (url, directory) => {
    expect(readLocalUrl(new URL(url))).toEqual({ directory });
  });

  test.each(["file://srv/releases", "file:///", "file://", "file:///srv#x"])("%s is refused", (url) => {
    expect(() => readLocalUrl(new URL(url))).toThrow("absolute directory");
  });

  test("is what its artifacts' addresses begin with", () => {
    expect(openLocalStore("/srv/my app%").url).toBe("file:///srv/my%20app%25");
  });
});

const record: DeployRecord = {
  id: "1",
  host: "web1",
  command: "server",
  tag: "v1.0.0",
  digest: null,
  fromTag: null,
  startedAt: "2026-11-21T09:36:40.000Z",
  finishedAt: "2026-11-21T09:36:46.123Z",
  durationMs: 6123,
  result: "deployed",
};

function options(wanted: SelectPolicy) {
  return { policy: wanted, platform: contractPlatform, artifact: null };
}

function open(directory: string) {
  return openBucket(openLocalStore(directory), options(policy)).registry;
}

function sourceOf(directory: string) {
  return bucketSource(openLocalStore(directory));
}

function publish(directory: string, tag: string, files: Readonly<Record<string, string>>): void {
  mkdirSync(join(directory, tag));
  for (const [name, body] of Object.entries(files)) writeFileSync(join(directory, tag, name), body);
}

function file(path: string) {
  const url = Bun.pathToFileURL(path).href;
  return { name: "file", url, sizeBytes: null, digest: null, revision: null };
}

/** Until not even an empty file has room. */
function fill(directory: string): void {
  for (let index = 0; ; index++) {
    try {
      writeFileSync(join(directory, `filler-${index}`), "");
    } catch {
      return;
    }
  }
}
