import { readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";
import type { Digest } from "../../src/release/release.ts";
import { endOfTar, tarEntry } from "../artifact/extract/build.ts";
import { type PushTarget, putBlob, putManifest } from "./oci-push.ts";

export interface ImageFile {
  /** `app/server`; one that ends with a slash is a directory. The directories above it are made, with mode 755. */
  readonly path: string;
  readonly content?: string | Uint8Array;
  /** A file of this machine to take the content of. */
  readonly hostPath?: string;
  /** 644, for what comes from a `hostPath` and for directories 755. */
  readonly mode?: number;
  /** The target of a symbolic link. */
  readonly linkTo?: string;
}

/** Made once and used by many images, so that a big one is hashed and pushed once. */
export interface Layer {
  readonly digest: string;
  readonly diffId: string;
  readonly bytes: Uint8Array;
  readonly gzip: boolean;
}

/** As in the image specification's `config`; each is optional. */
export interface ImageConfig {
  readonly Cmd?: readonly string[];
  readonly Entrypoint?: readonly string[];
  readonly Env?: readonly string[];
  readonly User?: string;
  readonly WorkingDir?: string;
  readonly ExposedPorts?: Readonly<Record<string, Record<string, never>>>;
  readonly Healthcheck?: {
    readonly Test: readonly string[];
    /** In nanoseconds, as the others. */
    readonly Interval?: number;
    readonly Timeout?: number;
    readonly StartPeriod?: number;
    readonly Retries?: number;
  };
  readonly Labels?: Readonly<Record<string, string>>;
  readonly StopSignal?: string;
}

export interface ImagePlatform {
  readonly os: string;
  readonly architecture: string;
  readonly variant?: string;
}

export interface ImageSpec {
  /** Below the layer of `files`, the lowest first. */
  readonly layers?: readonly Layer[];
  readonly files?: readonly ImageFile[];
  readonly config?: ImageConfig;
  /** linux, and this machine's architecture. */
  readonly platform?: ImagePlatform;
  readonly created?: Date;
  /** `docker`: manifest v2 schema 2 and gzipped layers. */
  readonly mediaTypes?: "oci" | "docker";
}

export interface PushedManifest {
  readonly digest: Digest;
  readonly mediaType: string;
  readonly size: number;
  readonly platform: ImagePlatform;
}

const types = {
  oci: {
    manifest: "application/vnd.oci.image.manifest.v1+json",
    config: "application/vnd.oci.image.config.v1+json",
    layer: "application/vnd.oci.image.layer.v1.tar",
    gzip: "application/vnd.oci.image.layer.v1.tar+gzip",
    index: "application/vnd.oci.image.index.v1+json",
  },
  docker: {
    manifest: "application/vnd.docker.distribution.manifest.v2+json",
    config: "application/vnd.docker.container.image.v1+json",
    layer: "application/vnd.docker.image.rootfs.diff.tar",
    gzip: "application/vnd.docker.image.rootfs.diff.tar.gzip",
    index: "application/vnd.docker.distribution.manifest.list.v2+json",
  },
} as const;

export function imageLayer(files: readonly ImageFile[], options: { gzip?: boolean } = {}): Layer {
  const made = new Set<string>();
  const tar = Buffer.concat([...files.flatMap((file) => entriesOf(file, made)), endOfTar]);
  const gzip = options.gzip === true;
  const bytes = gzip ? gzipSync(tar, { level: 1 }) : tar;
  return { digest: sha256(bytes), diffId: sha256(tar), bytes, gzip };
}

/** Debian's busybox-static with `/bin/sh` and the usual names: a base to run small scripts on. */
export function busyboxLayer(): Layer {
  const names = ["sh", "cat", "cp", "date", "echo", "env", "false", "httpd", "id", "kill", "ls", "nc", "ps"];
  names.push("sleep", "test", "touch", "true", "wget");
  const links = names.map((name) => ({ path: `bin/${name}`, linkTo: "busybox" }));
  const files = [
    { path: "bin/busybox", hostPath: "/bin/busybox" },
    { path: "tmp/", mode: 0o1777 },
  ];
  return imageLayer([...files, ...links]);
}

/** Pushes one image and makes `tag` name it. `repository` is without the host: `app/web`. */
export async function pushImage(
  registry: PushTarget,
  repository: string,
  tag: string,
  spec: ImageSpec = {},
): Promise<PushedManifest> {
  const type = types[spec.mediaTypes ?? "oci"];
  const platform = spec.platform ?? thisImagePlatform();
  const gzip = spec.mediaTypes === "docker";
  const top = spec.files === undefined ? [] : [imageLayer(spec.files, { gzip })];
  const layers = [...(spec.layers ?? []), ...top];
  const config = Buffer.from(JSON.stringify(configOf(spec, platform, layers)));
  for (const layer of layers) await putBlob(registry, repository, layer.digest, layer.bytes);
  await putBlob(registry, repository, sha256(config), config);
  const body = JSON.stringify({
    schemaVersion: 2,
    mediaType: type.manifest,
    config: { mediaType: type.config, digest: sha256(config), size: config.length },
    layers: layers.map((layer) => ({
      mediaType: layer.gzip ? type.gzip : type.layer,
      digest: layer.digest,
      size: layer.bytes.length,
    })),
  });
  const digest = await putManifest(registry, repository, tag, type.manifest, body);
  return { digest, mediaType: type.manifest, size: Buffer.byteLength(body), platform };
}

/** Pushes images for several platforms and an index of them, which `tag` names. */
export async function pushIndex(
  registry: PushTarget,
  repository: string,
  tag: string,
  specs: readonly ImageSpec[],
): Promise<{ readonly digest: Digest; readonly manifests: readonly PushedManifest[] }> {
  const type = types[specs[0]?.mediaTypes ?? "oci"];
  const manifests: PushedManifest[] = [];
  // By digest: a registry lets the image of one platform have no name of its own.
  for (const spec of specs) manifests.push(await pushImage(registry, repository, "", spec));
  const body = JSON.stringify({ schemaVersion: 2, mediaType: type.index, manifests });
  return { digest: await putManifest(registry, repository, tag, type.index, body), manifests };
}

export function thisImagePlatform(): ImagePlatform {
  return { os: "linux", architecture: process.arch === "arm64" ? "arm64" : "amd64" };
}

export function sha256(bytes: string | Uint8Array): Digest {
  return `sha256:${Bun.SHA256.hash(bytes, "hex")}`;
}

function configOf(spec: ImageSpec, platform: ImagePlatform, layers: readonly Layer[]): object {
  const created = (spec.created ?? new Date("2026-01-01T00:00:00Z")).toISOString();
  return {
    created,
    ...platform,
    config: spec.config ?? {},
    rootfs: { type: "layers", diff_ids: layers.map((layer) => layer.diffId) },
    history: layers.map(() => ({ created, created_by: "test" })),
  };
}

/** `made` holds the directories this layer has already. */
function entriesOf(file: ImageFile, made: Set<string>): Buffer[] {
  const parts = file.path.replace(/\/$/, "").split("/");
  const parents = parts
    .slice(0, -1)
    .map((_, index) => `${parts.slice(0, index + 1).join("/")}/`)
    .filter((path) => !made.has(path));
  for (const path of parents) made.add(path);
  const above = parents.map((name) => tarEntry({ name, type: "5", mode: 0o755 }));
  return [...above, entryOf(file, made)];
}

function entryOf(file: ImageFile, made: Set<string>): Buffer {
  const { path: name, linkTo, hostPath } = file;
  if (name.length > 99) throw new Error(`${name}: too long a name for this tar`);
  if (linkTo !== undefined) return tarEntry({ name, type: "2", linkname: linkTo, mode: 0o777 });
  if (name.endsWith("/")) {
    made.add(name);
    return tarEntry({ name, type: "5", mode: file.mode ?? 0o755 });
  }
  const body = hostPath === undefined ? (file.content ?? "") : readFileSync(hostPath);
  return tarEntry({ name, body, mode: file.mode ?? (hostPath === undefined ? 0o644 : 0o755) });
}
