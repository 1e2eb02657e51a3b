import { zipSync } from "fflate";
import { DewyError } from "../../src/errors.ts";
import type { Registry, SharedOrigin } from "../../src/registry/registry.ts";
import type { DeployRecord, Digest, Release, ReleaseFile } from "../../src/release/release.ts";
import { selectTag } from "../../src/release/select.ts";
import { semverScheme } from "../../src/release/semver.ts";
import type { ArtifactSource } from "../../src/release/source.ts";

interface Published {
  readonly createdAt: Date | null;
  readonly files: Map<string, { bytes: Uint8Array; digest: Digest | null; revision: string }>;
}

export const artifactName = "app_linux_amd64.zip";

/** An archive that holds one file, `VERSION`. */
export function archiveOf(content: string): Uint8Array {
  return zipSync({ VERSION: new TextEncoder().encode(content) }, { mtime: new Date("2026-01-01") });
}

/** A registry, and the source of its files, in this process. */
export class MemoryRegistry implements Registry, ArtifactSource {
  readonly reports: DeployRecord[] = [];
  /** Set, the named calls fail with it. */
  failures: { latest?: unknown; open?: unknown; report?: unknown } = {};
  /** Where its answers come from; null: from itself. */
  shared: SharedOrigin | null = null;
  opened = 0;
  #revision = 0;
  readonly #releases = new Map<string, Published>();

  /** Publishes (again) an archive with `content` in it; other bytes when they are given, null for no artifact. */
  publish(
    tag: string,
    artifact: Uint8Array | null = archiveOf(tag),
    about: { digest?: Digest; createdAt?: Date | null; sums?: string } = {},
  ): void {
    const files: Published["files"] = new Map();
    const add = (name: string, bytes: Uint8Array, digest: Digest | null): void =>
      void files.set(name, { bytes, digest, revision: String(++this.#revision) });
    if (artifact !== null) add(artifactName, artifact, about.digest ?? null);
    if (about.sums !== undefined) add("SHA256SUMS", new TextEncoder().encode(about.sums), null);
    this.#releases.set(tag, { createdAt: about.createdAt ?? null, files });
  }

  unpublish(tag: string): void {
    this.#releases.delete(tag);
  }

  async latest(c: { signal: AbortSignal }) {
    c.signal.throwIfAborted();
    if (this.failures.latest !== undefined) throw this.failures.latest;
    const policy = { scheme: semverScheme(null), preRelease: false, slot: null };
    const { tag, otherSlot } = selectTag([...this.#releases.keys()], policy);
    const release = tag === null ? null : this.#releaseOf(tag);
    return { release, otherSlot, ...(this.shared && { shared: this.shared }) };
  }

  async find(tag: string) {
    return this.#releases.has(tag) ? this.#releaseOf(tag) : null;
  }

  async report(record: DeployRecord) {
    if (this.failures.report !== undefined) throw this.failures.report;
    if (!this.reports.some(({ id }) => id === record.id)) this.reports.push(record);
  }

  minIntervalMs() {
    return 0;
  }

  async open(file: ReleaseFile, _resume: unknown, c: { signal: AbortSignal }) {
    c.signal.throwIfAborted();
    if (this.failures.open !== undefined) throw this.failures.open;
    this.opened += 1;
    const { tag, name } = addressOf(file.url);
    const bytes = this.#releases.get(tag)?.files.get(name)?.bytes;
    if (bytes === undefined) throw new DewyError("artifact-missing", `${file.url} is gone`);
    const chunks = (async function* () {
      yield bytes;
    })();
    return { chunks, offset: 0, totalBytes: bytes.length, validator: null };
  }

  async [Symbol.asyncDispose]() {}

  #releaseOf(tag: string): Release {
    const { createdAt = null, files = new Map() } = this.#releases.get(tag) ?? {};
    const all = [...files].map(([name, { bytes, digest, revision }]) => ({
      name,
      url: `memory:///${encodeURIComponent(tag)}/${name}`,
      sizeBytes: bytes.length,
      digest,
      revision,
    }));
    return { tag, createdAt, files: all, artifact: all.find(({ name }) => name === artifactName) ?? null };
  }
}

function addressOf(url: string): { tag: string; name: string } {
  const [, tag = "", name = ""] = new URL(url).pathname.split("/");
  return { tag: decodeURIComponent(tag), name };
}
