import { DewyError } from "../../src/errors.ts";
import { HttpClient } from "../../src/http/client.ts";
import { type Log, silentLog } from "../../src/log.ts";
import { openOciRegistry, parseOciUrl } from "../../src/registry/oci.ts";
import type { HostSelection } from "../../src/registry/selection.ts";
import type { Platform } from "../../src/release/platform.ts";
import { FakeClock } from "../support/clock.ts";
import type { Reply } from "../support/http-host.ts";
import { sha256 } from "../support/oci-image.ts";

export const c = { signal: new AbortController().signal };
export const repository = "team/app";

export interface OpenOptions {
  readonly name?: string;
  readonly query?: string;
  readonly slot?: string;
  readonly calver?: string;
  /** Nothing of this machine's own: its home is nowhere unless given. */
  readonly env?: Readonly<Record<string, string>>;
  readonly clock?: FakeClock;
  readonly log?: Log;
  readonly platform?: Platform;
}

/** `host` may be an origin. */
export function openOn(host: string, options: OpenOptions = {}) {
  const { name = repository, query = "", env = {}, clock = new FakeClock(), log = silentLog } = options;
  const { slot = null, calver = null } = options;
  const selection: HostSelection = { slot, calver };
  const url = new URL(`img://${host.replace("http://", "")}/${name}${query}`);
  return openOciRegistry(parseOciUrl(url, selection), {
    platform: options.platform ?? { os: "linux", arch: "amd64" },
    http: new HttpClient({ clock, log, userAgent: "dewy/0" }),
    clock,
    log,
    env: { HOME: "/nonexistent", ...env },
  });
}

export async function failureOf(work: Promise<unknown> | (() => unknown)): Promise<DewyError> {
  const error = await (async () => (typeof work === "function" ? work() : await work))().then(
    () => null,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof DewyError)) throw new Error(`not a DewyError: ${String(error)}`);
  return error;
}

export function jsonReply(value: unknown, headers: Readonly<Record<string, string>> = {}): Reply {
  return {
    status: 200,
    headers: { "Content-Type": "application/json", ...headers },
    body: JSON.stringify(value),
  };
}

export function tagsReply(tags: readonly string[] | null, headers?: Readonly<Record<string, string>>): Reply {
  return jsonReply({ name: repository, tags }, headers);
}

export const manifestTypes = {
  image: "application/vnd.oci.image.manifest.v1+json",
  index: "application/vnd.oci.image.index.v1+json",
} as const;

const emptyDigest = sha256("");

/** The shape of an image's manifest; `mark` makes it another one. */
export function imageManifest(mark: string, configDigest: string = emptyDigest): string {
  const config = { mediaType: "application/vnd.oci.image.config.v1+json", digest: configDigest, size: 1 };
  return JSON.stringify({ schemaVersion: 2, config, layers: [{ digest: emptyDigest, size: 7 }], mark });
}

/** With the digest header unless `digest` is null. */
export function manifestReply(body: string, digest: string | null = sha256(body)): Reply {
  const told: Record<string, string> = digest === null ? {} : { "Docker-Content-Digest": digest };
  return { status: 200, headers: { "Content-Type": manifestTypes.image, ...told }, body };
}

export const notFound: Reply = {
  status: 404,
  headers: { "Content-Type": "application/json" },
  body: '{"errors":[{"code":"NAME_UNKNOWN"}]}',
};
