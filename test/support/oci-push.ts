import type { Digest } from "../../src/release/release.ts";

/** Where to push; `OciRegistry` is one, and so is `{ origin: "http://127.0.0.1:5055" }`. */
export interface PushTarget {
  readonly origin: string;
  authorization?(repository: string, actions: string): string | null;
}

/** What a registry is known to have, so that a shared layer is asked for once. */
const present = new WeakMap<PushTarget, Set<string>>();

export async function putBlob(
  target: PushTarget,
  repository: string,
  digest: string,
  bytes: Uint8Array,
): Promise<void> {
  const known = present.get(target) ?? new Set<string>();
  present.set(target, known);
  const key = `${repository}@${digest}`;
  if (known.has(key)) return;
  const head = await call(target, repository, "HEAD", `/blobs/${digest}`);
  if (head.status !== 200) {
    const start = await expectStatus(202, call(target, repository, "POST", "/blobs/uploads/"));
    const upload = new URL(start.headers.get("location") ?? "", target.origin);
    upload.searchParams.set("digest", digest);
    const headers = { "Content-Type": "application/octet-stream" };
    await expectStatus(201, call(target, repository, "PUT", upload, bytes, headers));
  }
  known.add(key);
}

/** Answers the digest. An empty tag: it has no name but its digest. */
export async function putManifest(
  target: PushTarget,
  repository: string,
  tag: string,
  mediaType: string,
  body: string,
): Promise<Digest> {
  const digest: Digest = `sha256:${Bun.SHA256.hash(body, "hex")}`;
  const path = `/manifests/${tag === "" ? digest : tag.replaceAll("+", "_")}`;
  await expectStatus(201, call(target, repository, "PUT", path, body, { "Content-Type": mediaType }));
  return digest;
}

/** Deletes the manifest that the tag names, and with it every tag that names it. */
export async function deleteTag(target: PushTarget, repository: string, tag: string): Promise<void> {
  const accept = ["oci.image.index.v1", "oci.image.manifest.v1", "docker.distribution.manifest.v2"];
  accept.push("docker.distribution.manifest.list.v2");
  const headers = { Accept: accept.map((type) => `application/vnd.${type}+json`).join(", ") };
  const path = `/manifests/${tag.replaceAll("+", "_")}`;
  const head = await expectStatus(200, call(target, repository, "HEAD", path, undefined, headers));
  const digest = head.headers.get("docker-content-digest") ?? "";
  await expectStatus(202, call(target, repository, "DELETE", `/manifests/${digest}`));
}

async function call(
  target: PushTarget,
  repository: string,
  method: string,
  to: string | URL,
  body?: string | Uint8Array,
  headers: Record<string, string> = {},
): Promise<Response> {
  const url = to instanceof URL ? to : `${target.origin}/v2/${repository}${to}`;
  const authorization = target.authorization?.(repository, "pull,push,delete") ?? null;
  const response = await fetch(url, {
    method,
    headers: { ...headers, ...(authorization === null ? {} : { Authorization: authorization }) },
    ...(body === undefined ? {} : { body }),
  });
  if (response.status >= 400 && method !== "HEAD") {
    throw new Error(`${method} ${url}: ${response.status} ${await response.text()}`);
  }
  await response.arrayBuffer();
  return response;
}

async function expectStatus(status: number, answer: Promise<Response>): Promise<Response> {
  const response = await answer;
  if (response.status !== status) throw new Error(`${response.url}: ${response.status}, not ${status}`);
  return response;
}
