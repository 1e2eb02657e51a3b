import type { BaseIssue, BaseSchema } from "valibot";
import {
  array,
  boolean,
  getDotPath,
  type InferOutput,
  nullable,
  nullish,
  number,
  object,
  parse,
  safeParse,
  string,
} from "valibot";
import type { Digest, ReleaseFile } from "../../release/release.ts";
import { isReportName } from "../report.ts";

/** GitHub's REST API, version 2022-11-28; only the fields that are used. */
const assetSchema = object({
  id: number(),
  name: string(),
  size: number(),
  state: string(),
  updated_at: string(),
  digest: nullish(string()),
});

const releaseSchema = object({
  tag_name: string(),
  draft: boolean(),
  prerelease: boolean(),
  created_at: string(),
  published_at: nullable(string()),
  upload_url: string(),
  assets: array(assetSchema),
});

type WireAsset = InferOutput<typeof assetSchema>;
export type WireRelease = InferOutput<typeof releaseSchema>;

export function readRelease(json: unknown): WireRelease {
  return slim(read(releaseSchema, json));
}

export function readReleases(json: unknown): WireRelease[] {
  return read(array(releaseSchema), json).map(slim);
}

/** Whether an error body (422) says that the thing to be made is there already. */
export function saysAlreadyExists(body: string): boolean {
  try {
    const { errors } = parse(object({ errors: array(object({ code: string() })) }), JSON.parse(body));
    return errors.some((error) => error.code === "already_exists");
  } catch {
    return false; // Another error, in another shape.
  }
}

/** The asset as a file of the release; `url` as in dewy's artifact URLs. */
export function toReleaseFile(asset: WireAsset, owner: string, repo: string, tag: string): ReleaseFile {
  return {
    name: asset.name,
    url: `ghr://${owner}/${repo}/tag/${encodeURIComponent(tag)}/${encodeURIComponent(asset.name)}`,
    sizeBytes: asset.size,
    digest: toDigest(asset.digest ?? null),
    revision: `${asset.id}:${asset.updated_at}:${asset.size}`,
  };
}

/** The asset a file was listed as; null when the file did not come from toReleaseFile. */
export function assetIdOf(file: ReleaseFile): number | null {
  const match = /^(\d+):[^:]+:[^:]+:[^:]+:\d+$/.exec(file.revision ?? "");
  return match === null ? null : Number(match[1]);
}

function toDigest(text: string | null): Digest | null {
  const match = /^sha256:([0-9a-f]{64})$/i.exec(text ?? "");
  return match?.[1] === undefined ? null : `sha256:${match[1].toLowerCase()}`;
}

/** Hundreds of hosts leave hundreds of reports; they and half-done uploads are no files, and need no memory. */
function slim(release: WireRelease): WireRelease {
  const assets = release.assets.filter((asset) => asset.state === "uploaded" && !isReportName(asset.name));
  return { ...release, assets };
}

function read<T>(schema: BaseSchema<unknown, T, BaseIssue<unknown>>, json: unknown): T {
  const result = safeParse(schema, json);
  if (result.success) return result.output;
  const [issue] = result.issues;
  throw new Error(`${getDotPath(issue) ?? "answer"}: ${issue.message}`);
}
