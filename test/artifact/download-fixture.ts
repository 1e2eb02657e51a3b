import { afterEach, beforeEach } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type DownloadDeps, type DownloadRules, downloadArtifact } from "../../src/artifact/download.ts";
import { HttpClient } from "../../src/http/client.ts";
import { openRanged } from "../../src/http/range.ts";
import { silentLog } from "../../src/log.ts";
import type { Digest, ReleaseFile } from "../../src/release/release.ts";
import type { ArtifactSource } from "../../src/release/source.ts";
import { SkippingClock } from "../support/clock.ts";
import { FlakyServer } from "../support/flaky-server.ts";

export const bytes = Buffer.alloc(3 * 1024 * 1024, "abcdefghijklm");
export const digest = digestOf(bytes);
export const mib = 1024 * 1024;

/** Where this test's download goes. */
export const place = { directory: "", target: "" };

/** Gives every test of the file a fresh directory. */
export function useFreshDirectory(): void {
  beforeEach(() => {
    place.directory = mkdtempSync(join(tmpdir(), "dewy-download-"));
    place.target = join(place.directory, "app.tar.gz");
  });
  afterEach(() => rmSync(place.directory, { recursive: true }));
}

export function digestOf(content: Uint8Array): Digest {
  return `sha256:${Bun.SHA256.hash(content, "hex")}`;
}

interface Setup {
  readonly server: FlakyServer;
  readonly sizeBytes?: number | null;
  readonly rules?: Partial<DownloadRules>;
  readonly deps?: Partial<DownloadDeps>;
  readonly clock?: SkippingClock;
  readonly signal?: AbortSignal;
}

export function download(setup: Setup) {
  const { server, clock = new SkippingClock(), signal = new AbortController().signal } = setup;
  const http = new HttpClient({ clock, log: silentLog, userAgent: "dewy/0" });
  const source: ArtifactSource = {
    open: (file, resume, c) => openRanged(http, { url: file.url, doing: "fetch" }, resume, c),
  };
  const file: ReleaseFile = {
    name: "app.tar.gz",
    url: `${server.url}/app`,
    sizeBytes: setup.sizeBytes === undefined ? bytes.length : setup.sizeBytes,
    digest: null,
    revision: null,
  };
  const rules = { maxBytes: 2 ** 31, expected: [], ...setup.rules };
  return downloadArtifact(source, file, place.target, rules, { clock, ...setup.deps }, { signal });
}

export async function serve(content: Uint8Array = bytes, etag?: string | null, options = {}) {
  const server = await FlakyServer.start(options);
  server.put("/app", content, etag);
  return server;
}
