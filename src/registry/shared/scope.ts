import type { Platform } from "../../release/platform.ts";

/** Everything that decides which release and which file a host is told. */
export interface ScopeParts {
  /** `--registry`, with its query. */
  readonly registry: string;
  readonly slot: string | null;
  readonly calver: string | null;
  readonly platform: Platform;
  /** This host's name: a directory of one host is none of another's, whatever its path. */
  readonly host: string;
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** Variables that choose the artifact, or the server behind a registry's URL. Credentials decide neither. */
const decisive: Readonly<Record<string, readonly string[]>> = {
  "ghr:": ["GITHUB_ARTIFACT", "GITHUB_API_URL", "GITHUB_ENDPOINT"],
  "s3:": ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"],
  "gs:": ["STORAGE_EMULATOR_HOST"],
};

/**
 * Hosts of one scope get the same answer. `ghr://owner/repo linux/amd64 <64 hex digits>`: the URL without user, query
 * and fragment for people to read, all the rest hashed, so that no secret in it is stored or logged.
 */
export function shareScope({ registry, slot, calver, platform, host, env }: ScopeParts): string {
  const url = new URL(registry);
  url.searchParams.sort();
  const shown = `${url.protocol}//${url.host}${url.pathname.replace(/\/+$/, "")}`;
  const variables = (decisive[url.protocol] ?? []).map((name) => env[name]?.trim() || null);
  const owner = url.protocol === "file:" ? host : null;
  const hidden = [url.username, url.password, url.search, url.hash, slot, calver, owner, ...variables];
  return `${shown} ${platform.os}/${platform.arch} ${sha256(JSON.stringify([shown, ...hidden]))}`;
}

/** The scope's registry, as people may read it. */
export function registryIn(scope: string): string {
  return scope.split(" ", 1)[0] ?? "";
}

/** A prefix of its own: the Go original, which may share the cache, keeps its answers and leases elsewhere. */
export function entryKey(scope: string): string {
  return `dewy-registry/v1/${sha256(scope)}`;
}

function sha256(text: string): string {
  return new Bun.CryptoHasher("sha256").update(text).digest("hex");
}
