import { describe, expect, test } from "bun:test";
import type { Registry } from "../../src/registry/registry.ts";
import { calverScheme } from "../../src/release/calver.ts";
import type { Platform } from "../../src/release/platform.ts";
import type { DeployRecord, ReleaseFile } from "../../src/release/release.ts";
import type { SelectPolicy } from "../../src/release/select.ts";
import { semverScheme } from "../../src/release/semver.ts";
import type { ArtifactBody, ArtifactSource } from "../../src/release/source.ts";

export interface RegistryFixture extends AsyncDisposable {
  /** Makes a release, or adds files to one. Later calls publish later. */
  publish(tag: string, files: Readonly<Record<string, string>>): Promise<void>;
  remove(tag: string): Promise<void>;
  /** The reports stored with a release, as their bodies. */
  reports(tag: string): Promise<string[]>;
  /** For a host of `contractPlatform`. The registry is closed by the contract. */
  open(policy: SelectPolicy): Promise<Opened>;
}

interface Opened {
  readonly registry: Registry;
  /** null: its artifacts are no files. */
  readonly source: ArtifactSource | null;
}

/** A registry whose releases are images: there are no files to choose from or to open, and no place for reports. */
export interface ImageContract {
  readonly why: string;
  /** What an engine pulls for a release. */
  artifactName(fixture: RegistryFixture, tag: string): string;
}

export const contractPlatform: Platform = { os: "linux", arch: "amd64" };

const artifactName = "app_linux_amd64.tar.gz";
const artifact = { [artifactName]: "bytes of the app" };
const c = { signal: new AbortController().signal };
const stable: SelectPolicy = { scheme: semverScheme(null), preRelease: false, slot: null };

const record: DeployRecord = {
  id: "01JD",
  host: "web1.example",
  command: "server",
  tag: "v1.0.0",
  digest: `sha256:${"0".repeat(64)}`,
  fromTag: "v0.9.0",
  startedAt: "2026-11-21T09:36:40.000Z",
  finishedAt: "2026-11-21T09:36:46.123Z",
  durationMs: 6123,
  result: "deployed",
};

interface Choice {
  readonly name: string;
  readonly tags: readonly string[];
  readonly policy: SelectPolicy;
  readonly newest: string | null;
  readonly otherSlot?: string;
}

const choices: readonly Choice[] = [
  {
    name: "the newest version of many, whatever the order of publication",
    tags: ["v1.9.0", "v1.10.0", "v1.2.0"],
    policy: stable,
    newest: "v1.10.0",
  },
  {
    name: "tags that are no versions are ignored",
    tags: ["nightly", "v1", "v1.0.0"],
    policy: stable,
    newest: "v1.0.0",
  },
  { name: "no release at all", tags: [], policy: stable, newest: null },
  { name: "nothing the policy admits", tags: ["v1.0.0-rc.1"], policy: stable, newest: null },
  { name: "pre-releases are passed over", tags: ["v1.0.0", "v1.1.0-rc.1"], policy: stable, newest: "v1.0.0" },
  {
    name: "pre-releases count when asked for, by SemVer's precedence",
    tags: ["v1.1.0-rc.10", "v1.1.0-rc.9", "v1.0.0"],
    policy: { ...stable, preRelease: true },
    newest: "v1.1.0-rc.10",
  },
  {
    name: "a constraint",
    tags: ["v1.4.0", "v1.4.7", "v1.5.0", "v2.0.0"],
    policy: { ...stable, scheme: semverScheme("~1.4") },
    newest: "v1.4.7",
  },
  {
    name: "a CalVer format",
    tags: ["2026.09.30.1", "2026.10.02.0", "v9.9.9"],
    policy: { ...stable, scheme: calverScheme("YYYY.0M.0D.MICRO") },
    newest: "2026.10.02.0",
  },
  {
    name: "a slot, though another slot has a newer version",
    tags: ["v1.0.0+blue", "v1.1.0+green"],
    policy: { ...stable, slot: "blue" },
    newest: "v1.0.0+blue",
    otherSlot: "v1.1.0+green",
  },
];

/** What every kind of registry must do, and the source of its artifacts. */
export function registryContract(
  name: string,
  makeFixture: () => Promise<RegistryFixture>,
  images: ImageContract | null = null,
): void {
  releaseContract(name, makeFixture, images);
  if (images === null) fileContract(name, makeFixture);
  else imageContract(name, makeFixture, images);
}

function releaseContract(
  name: string,
  makeFixture: () => Promise<RegistryFixture>,
  images: ImageContract | null,
): void {
  describe(`${name} as a registry`, () => {
    test.each(choices.map((choice): [string, Choice] => [choice.name, choice]))("%s", async (_, choice) => {
      await using fixture = await makeFixture();
      for (const tag of choice.tags) await fixture.publish(tag, artifact);
      await using opened = await open(fixture, choice.policy);
      const { release, otherSlot } = await opened.registry.latest(c);
      expect(release?.tag ?? null).toBe(choice.newest);
      expect(otherSlot).toBe(choice.otherSlot ?? null);
    });

    test("a new release is seen, and the older one again when it is deleted", async () => {
      await using fixture = await makeFixture();
      await fixture.publish("v1.0.0", artifact);
      await using opened = await open(fixture, stable);
      expect((await opened.registry.latest(c)).release?.tag).toBe("v1.0.0");
      await fixture.publish("v1.1.0", artifact);
      expect((await opened.registry.latest(c)).release?.tag).toBe("v1.1.0");
      await fixture.remove("v1.1.0");
      expect((await opened.registry.latest(c)).release?.tag).toBe("v1.0.0");
    });

    test("replacing the artifact's bytes changes its digest or its revision", async () => {
      await using fixture = await makeFixture();
      await fixture.publish("v1.0.0", artifact);
      await using opened = await open(fixture, stable);
      const before = (await opened.registry.latest(c)).release?.artifact;
      await fixture.publish("v1.0.0", { [artifactName]: "other bytes of it" });
      const after = (await opened.registry.latest(c)).release?.artifact;
      expect([after?.digest, after?.revision]).not.toEqual([before?.digest, before?.revision]);
    });

    test("find gives a release the policy would not choose; null for one that is not there", async () => {
      await using fixture = await makeFixture();
      await fixture.publish("v1.0.0", artifact);
      await fixture.publish("v2.0.0-rc.1+blue", artifact);
      await using opened = await open(fixture, stable);
      const found = await opened.registry.find("v2.0.0-rc.1+blue", c);
      const wanted = images?.artifactName(fixture, "v2.0.0-rc.1+blue") ?? artifactName;
      expect(found).toMatchObject({ tag: "v2.0.0-rc.1+blue", artifact: { name: wanted } });
      expect(await opened.registry.find("v3.0.0", c)).toBeNull();
    });
  });
}

/** What every registry whose artifacts are files must do. */
function fileContract(name: string, makeFixture: () => Promise<RegistryFixture>): void {
  describe(`${name} as a registry of files`, () => {
    test("a release without a file for this platform has no artifact, until it is there", async () => {
      await using fixture = await makeFixture();
      await fixture.publish("v1.0.0", { "app_darwin_arm64.tar.gz": "x", "README.md": "x" });
      await using opened = await open(fixture, stable);
      expect((await opened.registry.latest(c)).release).toMatchObject({ tag: "v1.0.0", artifact: null });
      await fixture.publish("v1.0.0", artifact);
      expect((await opened.registry.latest(c)).release?.artifact?.name).toBe(artifactName);
    });

    test("a release lists all its files, checksums too, but no reports", async () => {
      await using fixture = await makeFixture();
      const files = { ...artifact, [`${artifactName}.sha256`]: "…", SHA256SUMS: "…" };
      await fixture.publish("v1.0.0", files);
      await using opened = await open(fixture, stable);
      await opened.registry.report(record, c);
      const { release } = await opened.registry.latest(c);
      expect(release?.files.map((file) => file.name).sort()).toEqual(Object.keys(files).sort());
      expect(release?.createdAt).toBeInstanceOf(Date);
    });

    test("the same record reported twice is one report, with what was deployed where", async () => {
      await using fixture = await makeFixture();
      await fixture.publish("v1.0.0", artifact);
      await using opened = await open(fixture, stable);
      await opened.registry.report(record, c);
      await opened.registry.report(record, c);
      const reports = await fixture.reports("v1.0.0");
      expect(reports.map((body): unknown => JSON.parse(body))).toEqual([
        {
          host: "web1.example",
          tag: "v1.0.0",
          digest: record.digest,
          from: "v0.9.0",
          command: "server",
          time: record.finishedAt,
          result: "deployed",
          id: "01JD",
        },
      ]);
    });

    test("the artifact opens with its bytes, from the start and from the middle", async () => {
      await using fixture = await makeFixture();
      await fixture.publish("v1.0.0", artifact);
      await using opened = await open(fixture, stable);
      const file = await artifactOf(opened.registry, "v1.0.0");
      const whole = await opened.source.open(file, null, c);
      expect(whole).toMatchObject({ offset: 0, totalBytes: 16 });
      expect(await textOf(whole)).toBe("bytes of the app");
      if (whole.validator === null) throw new Error("the source cannot resume");
      const rest = await opened.source.open(file, { offset: 6, validator: whole.validator }, c);
      expect(rest).toMatchObject({ offset: 6, totalBytes: 16 });
      expect(await textOf(rest)).toBe("of the app");
    });

    test("an artifact that changed meanwhile is not resumed", async () => {
      await using fixture = await makeFixture();
      await fixture.publish("v1.0.0", artifact);
      await using opened = await open(fixture, stable);
      const whole = await opened.source.open(await artifactOf(opened.registry, "v1.0.0"), null, c);
      await textOf(whole);
      await fixture.publish("v1.0.0", { [artifactName]: "other bytes of it" });
      const changed = await artifactOf(opened.registry, "v1.0.0");
      const again = await opened.source.open(changed, { offset: 6, validator: whole.validator ?? "none" }, c);
      expect(again.offset).toBe(0);
      expect(await textOf(again)).toBe("other bytes of it");
    });

    test("an address kept from an earlier run opens too; one of a deleted file is artifact-missing", async () => {
      await using fixture = await makeFixture();
      await fixture.publish("v1.0.0", artifact);
      await using opened = await open(fixture, stable);
      const { name, url } = await artifactOf(opened.registry, "v1.0.0");
      const kept: ReleaseFile = { name, url, sizeBytes: null, digest: null, revision: null };
      await using later = await open(fixture, stable);
      expect(await textOf(await later.source.open(kept, null, c))).toBe("bytes of the app");
      await fixture.remove("v1.0.0");
      await expect(later.source.open(kept, null, c)).rejects.toMatchObject({ code: "artifact-missing" });
    });
  });
}

/** What holds instead where they are images. */
function imageContract(
  name: string,
  makeFixture: () => Promise<RegistryFixture>,
  { why, artifactName: nameOf }: ImageContract,
): void {
  describe(`${name} as a registry of images (${why})`, () => {
    test("the image is the release's only file, with its digest", async () => {
      await using fixture = await makeFixture();
      await fixture.publish("v1.0.0+blue", artifact);
      await using opened = await open(fixture, stable);
      const { release } = await opened.registry.latest(c);
      expect(release?.artifact?.name).toBe(nameOf(fixture, "v1.0.0+blue"));
      expect(release?.artifact?.digest).toMatch(/^sha256:[0-9a-f]{64}$/);
      expect(release?.files).toEqual(release?.artifact ? [release.artifact] : []);
    });

    test("a report is taken and leaves nothing behind", async () => {
      await using fixture = await makeFixture();
      await fixture.publish("v1.0.0", artifact);
      await using opened = await open(fixture, stable);
      await opened.registry.report(record, c);
      expect(await fixture.reports("v1.0.0")).toEqual([]);
    });
  });
}

async function open(fixture: RegistryFixture, policy: SelectPolicy) {
  const { registry, source } = await fixture.open(policy);
  return {
    registry,
    get source(): ArtifactSource {
      if (source === null) throw new Error("this registry has no source of files");
      return source;
    },
    [Symbol.asyncDispose]: () => registry[Symbol.asyncDispose](),
  };
}

async function artifactOf(registry: Registry, tag: string): Promise<ReleaseFile> {
  const file = (await registry.find(tag, c))?.artifact;
  if (file === undefined || file === null) throw new Error(`no artifact in ${tag}`);
  return file;
}

async function textOf(body: ArtifactBody): Promise<string> {
  return Buffer.concat(await Array.fromAsync(body.chunks)).toString();
}
