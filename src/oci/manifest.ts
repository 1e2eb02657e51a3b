import { DewyError } from "../errors.ts";
import type { Digest } from "../release/release.ts";
import type { Call } from "../util/async.ts";
import { type ApiAnswer, type DistributionApi, parseAnswer } from "./api.ts";
import { readManifest, type WireManifest } from "./wire.ts";

/** The specification asks registries to take at least this; no image comes near it. */
const maxManifestBytes = 4 * 1024 * 1024;
const digestGrammar = /^sha256:[0-9a-f]{64}$/;
const accept = [
  "application/vnd.oci.image.index.v1+json",
  "application/vnd.docker.distribution.manifest.list.v2+json",
  "application/vnd.oci.image.manifest.v1+json",
  "application/vnd.docker.distribution.manifest.v2+json",
].join(", ");

/**
 * What a tag means now: the digest of its index or manifest; null: nothing. By HEAD, which registries do not count
 * as a pull; only where that does not tell, the manifest itself is fetched.
 */
export async function headDigest(api: DistributionApi, reference: string, c: Call): Promise<Digest | null> {
  const request = manifestRequest(api, reference);
  // 405 and 400: registries and proxies that know no HEAD.
  const answer = await api.ask({ ...request, method: "HEAD", accept: [400, 404, 405] }, 0, c);
  if (answer.status === 404) return null;
  const told = answer.status === 200 ? toDigest(answer.headers.get("docker-content-digest")) : null;
  return told ?? (await getManifest(api, reference, c))?.digest ?? null;
}

export interface Manifest {
  readonly digest: Digest;
  readonly content: WireManifest;
}

/** By tag or digest; one got by digest has that very digest, or `bad-answer`. null: there is none. */
export async function getManifest(
  api: DistributionApi,
  reference: string,
  c: Call,
): Promise<Manifest | null> {
  const request = manifestRequest(api, reference);
  const answer = await api.ask({ ...request, accept: [404] }, maxManifestBytes, c);
  if (answer.status === 404) return null;
  const digest = checkedDigest(answer, toDigest(reference), request.doing);
  const content = parseAnswer(answer, request.doing, readManifest);
  const isIndex = content.manifests != null;
  const isImage = content.config != null && content.layers != null;
  // One document that is both would mean one thing here and another to the engine (CVE-2021-41190).
  if (isIndex === isImage) {
    throw new DewyError("bad-answer", `${request.doing}: neither an image nor an index of images`, {
      hint: "images older than manifest version 2 have to be pushed again",
    });
  }
  return { digest, content };
}

export async function getBlob(api: DistributionApi, digest: Digest, maxBytes: number, c: Call) {
  const { host, name } = api.repository;
  const doing = `get the configuration of ${host}/${name}`;
  const answer = await api.ask({ endpoint: "blobs", path: `/blobs/${digest}`, doing }, maxBytes, c);
  checkedDigest(answer, digest, doing);
  return { answer, doing };
}

/** null: no SHA-256. */
export function toDigest(text: string | null): Digest | null {
  // The grammar just checked is Digest's.
  return text !== null && digestGrammar.test(text) ? (text as Digest) : null;
}

function manifestRequest(api: DistributionApi, reference: string) {
  const { host, name } = api.repository;
  const separator = reference.includes(":") ? "@" : ":";
  return {
    endpoint: "manifests",
    path: `/manifests/${reference}`,
    headers: { Accept: accept },
    doing: `look up ${host}/${name}${separator}${reference}`,
  } as const;
}

/** The digest of the bytes; `bad-answer` when they are not the wanted ones. */
function checkedDigest({ bytes, host }: ApiAnswer, wanted: Digest | null, doing: string): Digest {
  const digest: Digest = `sha256:${Bun.SHA256.hash(bytes, "hex")}`;
  if (wanted === null || wanted === digest) return digest;
  throw new DewyError("bad-answer", `${doing}: ${host} sent other content than the digest names`);
}
